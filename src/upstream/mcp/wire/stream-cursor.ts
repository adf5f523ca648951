// How far an event stream was read, and when it may be asked for again.

/** Waits before a broken stream is asked for again, in ms, where the server names none. */
const WAITS = [250, 1_000, 5_000];
/** Never sooner, whatever the server says: a stream that always ends at once must not become a flood. */
const MIN_WAIT_MS = 100;
/** Longest wait that a timer can have. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** An id that a header can carry. */
const EVENT_ID = /^[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?$/;

/** The last event id and the `retry` of one stream (2025-11-25 transports, Resumability and Redelivery). */
export class StreamCursor {
  /** The last event that came; absent where the stream cannot be resumed. */
  id: string | undefined;
  private retryMs: number | undefined;

  eventId(id: string): void {
    this.id = EVENT_ID.test(id) ? id : undefined;
  }

  retry(ms: number): void {
    this.retryMs = Math.min(Math.max(ms, MIN_WAIT_MS), MAX_WAIT_MS);
  }

  /** How long to wait before the stream is asked for again, after `failures` attempts in a row that failed; in ms. */
  waitMs(failures: number, waits: readonly number[] = WAITS): number {
    return this.retryMs ?? waits[Math.min(failures, waits.length - 1)] ?? MIN_WAIT_MS;
  }
}
