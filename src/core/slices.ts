// Does long work in slices, between which other work has a turn of the event loop.
import { BOUNDS } from './bounds/bounds.ts';

/** Work that consists of steps. */
export interface Steps {
  /** Does a step of about so many characters of work; returns whether the work is complete. */
  run(characters: number): boolean;
}

/** The characters of one step, after which `slice` reads the clock: well under a millisecond of work. */
const STEP = 16 * 1024;

/** Does all of the work. It begins in the next turn of the event loop, since this turn has done other work already. */
export async function inSlices(work: Steps): Promise<void> {
  do await nextTurn();
  while (!slice(work));
}

function slice(work: Steps): boolean {
  const until = performance.now() + BOUNDS.sliceTime;
  do if (work.run(STEP)) return true;
  while (performance.now() < until);
  return false;
}

/** Resolves in the next turn of the event loop, after other work that is due. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
