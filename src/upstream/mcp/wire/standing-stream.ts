// The streams that the gateway opens again: how far each was read, and the stream of a legacy session for messages that belong to no request.
import { Backoff } from '../../../core/backoff.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { isInconclusive, isSessionUnknown } from './http-errors.ts';
import type { ExchangeHandlers, HttpEndpoint, HttpExchange } from './http-exchange.ts';
import type { HttpSession } from './http-wire.ts';
import { HttpRejection } from './wire.ts';

/** The pauses before a stream is resumed if the server names none. */
const RESUME_PAUSES = [BOUNDS.resumePauseFirst, BOUNDS.resumePauseSecond, BOUNDS.resumePauseMost];
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
  waitMs(failures: number, pauses: readonly number[] = RESUME_PAUSES): number {
    const wanted = this.retryMs ?? pauses[Math.min(failures, pauses.length - 1)] ?? BOUNDS.resumePauseLeast;
    const left = this.openedAt + this.emptyPause.next() - performance.now();
    return Math.max(wanted, left);
  }
}

export interface StandingStreamOptions {
  readonly endpoint: HttpEndpoint;
  readonly session: HttpSession;
  /** One message. An error ends the stream, which is then opened again. */
  message(text: string, bytes: number): Promise<void> | void;
  /** Notifications may have been lost while no stream was open. */
  missed(): void;
  /** The server has forgotten the session. */
  sessionLost(): void;
}

/** The pauses before the stream is opened again if the server names none. */
const PAUSES = [BOUNDS.standingPauseFirst, BOUNDS.standingPauseSecond, BOUNDS.standingPauseMost];

/** Opens the stream, and opens it again whenever it ends. Servers without one answer 405. */
export class StandingStream implements ExchangeHandlers {
  private readonly options: StandingStreamOptions;
  private readonly cursor = new StreamCursor();
  private readonly firstAnswer = Promise.withResolvers<void>();
  private exchange: HttpExchange | undefined;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  /** Monotonic ms. */
  private openedAt = Infinity;
  /** Whether the server ever accepted the stream. */
  private wasOpen = false;
  /** Whether the server keeps the messages for the time without a stream, and sends them when it is open again. */
  private isReplayed = true;
  private closed = false;

  constructor(options: StandingStreamOptions) {
    this.options = options;
  }

  /** Resolves when the server has accepted or refused the stream for the first time. */
  get answered(): Promise<void> {
    return this.firstAnswer.promise;
  }

  open(): void {
    const { endpoint, session } = this.options;
    this.cursor.opened();
    this.exchange = endpoint.send(
      { method: 'GET', headers: session.streamHeaders(this.cursor.id), bodyTimeout: 0 },
      this,
    );
  }

  close(reason: Error): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.exchange?.abort(reason);
  }

  headers(_headers: unknown, isStream: boolean): void {
    this.firstAnswer.resolve();
    if (!isStream) {
      this.close(new Error('not an event stream')); // the URL answers GET with something else
      return;
    }
    this.wasOpen = true;
    this.openedAt = performance.now();
    if (!this.isReplayed) this.options.missed();
    this.isReplayed = false;
  }

  eventId(id: string): void {
    this.failures = 0;
    this.cursor.eventId(id);
  }

  retry(ms: number): void {
    this.cursor.retry(ms);
  }

  message(text: string, bytes: number): Promise<void> | void {
    if (this.closed) return;
    this.failures = 0;
    this.cursor.received();
    return this.options.message(text, bytes);
  }

  end(error?: Error): void {
    this.firstAnswer.resolve();
    if (this.closed) return;
    if (error instanceof HttpRejection && !isInconclusive(error.status)) {
      // a server that never accepted the stream has none; one that did has forgotten the session
      if (this.wasOpen && isSessionUnknown(error)) this.options.sessionLost();
      return;
    }
    if (performance.now() - this.openedAt > BOUNDS.stableConnection) this.failures = 0;
    this.openedAt = Infinity;
    // a server may close the stream to be polled, and keeps the messages meanwhile (2025-11-25 transports, Listening)
    this.isReplayed = !this.wasOpen || (error === undefined && this.cursor.id !== undefined);
    this.timer = setTimeout(() => this.open(), this.cursor.waitMs(this.failures++, PAUSES)).unref();
  }
}
