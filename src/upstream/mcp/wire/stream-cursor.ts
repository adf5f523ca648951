// How far an event stream was read, and when the gateway may ask for it again.
import { Backoff } from '../../../core/backoff.ts';

/** Waits before a broken stream is asked for again, in ms, where the server names none. */
const WAITS = [250, 1_000, 5_000];
/** Never sooner, whatever the server says. */
const MIN_WAIT_MS = 100;
/**
 * The shortest time from one opening of a stream to the next, where nothing came on it. A server that always ends the stream at once must
 * not cause a flood; a stream that stood for longer waits for no more than its `retry`.
 */
const PACES = { firstMs: 100, mostMs: 10_000 };
/** Longest wait that a timer can have. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** An id that a header can carry. */
const EVENT_ID = /^[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?$/;

/** The last event id and the `retry` of one stream (2025-11-25 transports, Resumability and Redelivery). */
export class StreamCursor {
  /** The last event that came; absent where the stream cannot be resumed. */
  id: string | undefined;
  private retryMs: number | undefined;
  /** Monotonic ms. */
  private openedAt = performance.now();
  private readonly pace = new Backoff(PACES);

  eventId(id: string): void {
    this.id = EVENT_ID.test(id) ? id : undefined;
  }

  retry(ms: number): void {
    this.retryMs = Math.min(Math.max(ms, MIN_WAIT_MS), MAX_WAIT_MS);
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
  waitMs(failures: number, waits: readonly number[] = WAITS): number {
    const wanted = this.retryMs ?? waits[Math.min(failures, waits.length - 1)] ?? MIN_WAIT_MS;
    const left = this.openedAt + this.pace.next() - performance.now();
    return Math.max(wanted, left);
  }
}
