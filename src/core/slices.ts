// Does long work in slices, between which other work has a turn of the event loop.
import { BOUNDS } from './bounds/bounds.ts';

/** Work that pauses after each step, and returns what it has made. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** The work of one step, in characters: well under a millisecond. After each, `inSlices` reads the clock. */
export const STEP = 16 * 1024;

/** Does all of the work. It begins in the next turn of the event loop, since this turn has done other work already. */
export async function inSlices<T>(work: Steps<T>): Promise<T> {
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    const until = performance.now() + BOUNDS.sliceTime;
    do {
      const { done, value } = work.next();
      if (done) return value;
    } while (performance.now() < until);
  }
}

/** Does all of the work at once. */
export function atOnce<T>(work: Steps<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
