// How far an event stream was read, and when the gateway may open it again.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { Backoff } from '../../../core/backoff.ts';

/** The pauses before a stream is resumed if the server names none. */
const PAUSES = [BOUNDS.resumePauseFirst, BOUNDS.resumePauseSecond, BOUNDS.resumePauseMost];
/** The least time between two openings if no message came: a server that ends each stream at once must not cause a flood of requests. */
const EMPTY_PAUSES = { firstMs: BOUNDS.emptyStreamPauseFirst, mostMs: BOUNDS.emptyStreamPauseMost };
/** The longest pause that a timer of Node can have. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** An id that a header can carry. */
const EVENT_ID = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** The last event id and the `retry` of one stream (2025-11-25 transports, Resumability and Redelivery). */
export class StreamCursor {
  /** The last event; undefined if the stream cannot be resumed. */
  id: string | undefined;
  private retryMs: number | undefined;
  /** Monotonic ms. */
  private openedAt = performance.now();
  private readonly emptyPause = new Backoff(EMPTY_PAUSES);

  eventId(id: string): void {
    this.id = id.length <= BOUNDS.eventId && EVENT_ID.test(id) ? id : undefined;
  }

  retry(ms: number): void {
    this.retryMs = Math.min(Math.max(ms, BOUNDS.resumePauseLeast), MAX_TIMER_MS);
  }

  /** The gateway asked for the stream. */
  opened(): void {
    this.openedAt = performance.now();
  }

  /** A message came. */
  received(): void {
    this.emptyPause.reset();
  }

  /** The pause before the gateway asks for the stream again, after so many failures in a row; in ms. */
  waitMs(failures: number, pauses: readonly number[] = PAUSES): number {
    const wanted = this.retryMs ?? pauses[Math.min(failures, pauses.length - 1)] ?? BOUNDS.resumePauseLeast;
    const left = this.openedAt + this.emptyPause.next() - performance.now();
    return Math.max(wanted, left);
  }
}
