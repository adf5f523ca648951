// How long the gateway waits before it tries a server again, and how an error says so.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { doublingMs } from '../../../core/backoff.ts';

const PAUSES = { firstMs: BOUNDS.restartPauseFirst, mostMs: BOUNDS.restartPauseMost };

/** The wait after so many failures: 250 ms, doubled each time up to 30 s, less up to half at random so that servers are not tried in step. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  return Math.round(doublingMs(Math.max(0, failures - 1), PAUSES) * (0.5 + random() / 2));
}

/** The reason of a refusal, and when the server is tried again, as sentences. */
export function untilTriedAgain(reason: string, waitMs: number | undefined): string {
  const why = /[.!?]$/.test(reason) ? reason : `${reason}.`;
  return waitMs === undefined ? why : `${why} It is tried again in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`;
}
