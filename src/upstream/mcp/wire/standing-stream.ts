// The stream of a legacy Streamable HTTP session for messages that belong to no request, such as list changes.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { isInconclusive, isSessionUnknown } from './http-errors.ts';
import type { ExchangeHandlers, HttpEndpoint, HttpExchange } from './http-exchange.ts';
import type { HttpSession } from './http-wire.ts';
import { StreamCursor } from './stream-cursor.ts';
import { HttpRejection } from './wire.ts';

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
