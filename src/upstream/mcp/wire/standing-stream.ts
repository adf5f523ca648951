// The stream of a legacy Streamable HTTP session that belongs to no request: list changes and the like.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { HttpEndpoint } from './http-endpoint.ts';
import { concludesNothing, isSessionUnknown } from './http-errors.ts';
import type { ExchangeHandlers, HttpExchange } from './http-exchange.ts';
import type { HttpSession } from './http-session.ts';
import { StreamCursor } from './stream-cursor.ts';
import { HttpRejection } from './wire.ts';

export interface StandingStreamOptions {
  readonly endpoint: HttpEndpoint;
  readonly session: HttpSession;
  /** One message. What it throws ends the stream, and it is opened anew. */
  message(text: string, bytes: number): Promise<void> | void;
  /** Something may have been missed while the stream was away. */
  missed(): void;
  /** The server has forgotten the session. */
  sessionLost(): void;
}

/** Waits before it is opened again where the server names none, in ms. */
const PAUSES = [BOUNDS.standingPauseFirst, BOUNDS.standingPauseSecond, BOUNDS.standingPauseMost];

/** Opens the stream, and opens it again whenever it ends; servers without one answer 405. */
export class StandingStream implements ExchangeHandlers {
  private readonly options: StandingStreamOptions;
  private readonly cursor = new StreamCursor();
  private exchange: HttpExchange | undefined;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private since = Infinity;
  private existed = false;
  /** Whether what is sent while the stream is away will be told when it is back. */
  private kept = true;
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

  headers(_headers: unknown, streams: boolean): void {
    if (!streams) {
      this.close(new Error('not an event stream')); // some other page
      return;
    }
    this.existed = true;
    this.since = performance.now();
    if (!this.kept) this.options.missed();
    this.kept = false;
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
    this.cursor.brought();
    return this.options.message(text, bytes);
  }

  end(error?: Error): void {
    if (this.closed) return;
    if (error instanceof HttpRejection && !concludesNothing(error.status)) {
      // a server that never had the stream says 405, or whatever; one that had it has forgotten the session
      if (this.existed && isSessionUnknown(error)) this.options.sessionLost();
      return;
    }
    if (performance.now() - this.since > BOUNDS.stableConnection) this.failures = 0;
    this.since = Infinity;
    // a server that closes the stream itself to be polled keeps what comes meanwhile (2025-11-25 transports, Listening)
    this.kept = !this.existed || (error === undefined && this.cursor.id !== undefined);
    this.timer = setTimeout(() => this.open(), this.cursor.waitMs(this.failures++, PAUSES)).unref();
  }
}
