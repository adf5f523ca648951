// Long work that is done a little at a time, so that everybody else has a turn in between.

/** Work that can be done in steps. */
export interface Steps {
  /** Does about as much as this many characters take; returns whether all is done. */
  run(characters: number): boolean;
}

/** The least that is done before the clock is looked at, in characters: well under a millisecond. */
const STEP = 16 * 1024;
/** How long work goes on in one turn of the event loop, in ms. */
const SLICE_MS = 4;

/** Does all of the work, from the next turn of the event loop on: what came before was work too. */
export async function inSlices(work: Steps): Promise<void> {
  do await nextTurn();
  while (!slice(work));
}

function slice(work: Steps): boolean {
  const until = performance.now() + SLICE_MS;
  do if (work.run(STEP)) return true;
  while (performance.now() < until);
  return false;
}

/** Lets everything else that is due come first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
