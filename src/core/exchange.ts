// The way back to the caller while a call runs.
import { type CancelSignal } from './cancellation.ts';
import { type JsonObject } from './json.ts';

/** What a downstream adapter provides with each call. Nothing may be sent after the call has ended. */
export interface Exchange {
  /** Aborted when the caller cancels, or when its era reads a lost connection as a cancellation. */
  readonly signal: CancelSignal;
  /** Whether the caller asked for progress of this call. */
  readonly wantsProgress: boolean;
  /** The least severe log line that the caller wants; absent where it wants none. */
  readonly logLevel?: string | undefined;
  /** Sends `notifications/progress`; the adapter puts in the caller's own token. */
  progress(params: JsonObject): void;
  /** Sends `notifications/message` if the caller's log level lets it pass. */
  log(params: JsonObject): void;
  /** Sends any other notification that belongs to this call (`subscriptions/listen`). */
  notify(method: string, params: JsonObject): void;
}
