// How far an event stream was read, and when the gateway may ask for it again.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Backoff } from '../../../core/backoff.ts';

/** Waits before a broken stream is asked for again, in ms, where the server names none. */
const PAUSES = [BOUNDS.resumePauseFirst, BOUNDS.resumePauseSecond, BOUNDS.resumePauseMost];
/**
 * The shortest time from one opening of a stream to the next, where nothing came on it. A server that always ends the stream at once must
 * not cause a flood; a stream that stood for longer waits for no more than its `retry`.
 */
const EMPTY_PAUSES = { firstMs: BOUNDS.emptyStreamPauseFirst, mostMs: BOUNDS.emptyStreamPauseMost };
/** Longest wait that a timer can have. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** An id that a header can carry. */
const EVENT_ID = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** The last event id and the `retry` of one stream (2025-11-25 transports, Resumability and Redelivery). */
export class StreamCursor {
  /** The last event that came; absent where the stream cannot be resumed. */
  id: string | undefined;
  private retryMs: number | undefined;
  /** Monotonic ms. */
  private openedAt = performance.now();
  private readonly pace = new Backoff(EMPTY_PAUSES);

  eventId(id: string): void {
    this.id = id.length <= BOUNDS.eventId && EVENT_ID.test(id) ? id : undefined;
  }

  retry(ms: number): void {
    this.retryMs = Math.min(Math.max(ms, BOUNDS.resumePauseLeast), MAX_WAIT_MS);
  }

  /** The stream was asked for. */
  opened(): void {
    this.openedAt = performance.now();
  }

  /** A message came. */
  brought(): void {
    this.pace.reset();
  }

  /** How long to wait before the stream is asked for again, after `failures` attempts in a row that failed; in ms. */
  waitMs(failures: number, waits: readonly number[] = PAUSES): number {
    const wanted = this.retryMs ?? waits[Math.min(failures, waits.length - 1)] ?? BOUNDS.resumePauseLeast;
    const left = this.openedAt + this.pace.next() - performance.now();
    return Math.max(wanted, left);
  }
}
