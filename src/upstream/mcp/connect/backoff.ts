// How long to wait before a server is tried again, and how that is told.

const FIRST_MS = 250;
const MOST_MS = 30_000;

/** A connection that held this long starts the count anew. */
export const STABLE_MS = 60_000;

/** The wait before attempt `failures`: doubling from 250 ms to 30 s, of which a random half is taken off so that servers do not come back in step. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const full = Math.min(FIRST_MS * 2 ** Math.max(0, failures - 1), MOST_MS);
  return Math.round(full * (0.5 + random() / 2));
}

/** Why something is refused for now, as sentences: the reason, and when the server is tried again, if that is known. */
export function untilTriedAgain(reason: string, waitMs: number | undefined): string {
  const why = /[.!?]$/.test(reason) ? reason : `${reason}.`;
  return waitMs === undefined ? why : `${why} It is tried again in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`;
}
