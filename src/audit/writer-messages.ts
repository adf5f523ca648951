// What the log and its writer thread say to each other.
import { type StateErrorReason } from '../storage/state-error.ts';

/** A batch: the time when it was sent and its records, one a line; null asks the writer to close. */
export type ToWriter = string | null;

/** null: ready, or the batch is committed; a string: why it is not; an object: why there is no writer at all. */
export type FromWriter = string | null | { readonly refused: string; readonly reason: StateErrorReason };

/** Milliseconds on the clock that all threads of the process share; `performance.now` counts from the start of each. */
export function monotonicNow(): number {
  return Math.floor(Number(process.hrtime.bigint() / 1_000_000n));
}
