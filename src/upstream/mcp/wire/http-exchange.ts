// One HTTP request to a server, from headers to the messages in its body or stream.
import type { Dispatcher } from 'undici';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { GrowingBytes } from '../../../core/growing-bytes.ts';
import type { ResponseFrame } from '../../../protocol/mcp/frames.ts';
import { type SseEvent, SseReader } from '../../../protocol/mcp/sse.ts';
import { readInbound } from './inbound.ts';
import type { Redaction } from '../redaction.ts';
import type { Turns } from './turns.ts';
import { HttpRejection } from './wire.ts';

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What an exchange is looked at for; its end always, the rest where it matters. */
export interface ExchangeHandlers {
  /** The request goes out now, on a connection that stands. */
  started?(): void;
  /** An accepted request's response begins; header names are lower-case. `streams` tells whether it is an event stream. */
  headers?(headers: ResponseHeaders, streams: boolean): void;
  /** Bytes came. */
  heard?(): void;
  /** An event of the stream that is no message. */
  event?(event: SseEvent): void;
  /** The id of an event, before its message. */
  eventId?(id: string): void;
  /** The stream's `retry` field, in milliseconds. */
  retry?(ms: number): void;
  /** One message of the server. What it throws ends the exchange. */
  message?(text: string, bytes: number): void;
  /** The exchange is over. Without an error, everything that was sent has been told. */
  end(error?: Error): void;
}

export interface ExchangeOptions {
  readonly server: string;
  readonly maxMessageBytes: number;
  readonly redaction: Redaction;
  /** What is read of the server, over all its exchanges. */
  readonly turns: Turns;
  /** Called before the handler's own `end`. */
  ended(): void;
}

/** How much of a rejection's body is kept to explain it. */
const REJECTION_BYTES = 4096;

/** The undici handler of one POST or GET; reads a JSON body or an event stream, bounded, each message once. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions;
  private readonly on: ExchangeHandlers;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private sse: SseReader | undefined;
  private readonly body = new GrowingBytes();
  private over = false;
  private aborted: Error | undefined;

  constructor(options: ExchangeOptions, handlers: ExchangeHandlers) {
    this.options = options;
    this.on = handlers;
  }

  get ended(): boolean {
    return this.over;
  }

  /** Closes the exchange; over modern HTTP that is what cancels (streamable-http, Cancellation). */
  abort(reason: Error): void {
    this.aborted ??= reason;
    this.controller?.abort(reason);
    this.finish(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.aborted) controller.abort(this.aborted);
    else this.on.started?.();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    this.status = status;
    if (status < 200 || status > 299) return;
    const streams = String(headers['content-type'] ?? '').startsWith('text/event-stream');
    if (streams) this.sse = this.reader();
    this.on.headers?.(headers, streams);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    this.options.turns.took(chunk.length, controller);
    this.on.heard?.();
    if (this.sse) {
      this.sse.push(chunk);
      return;
    }
    if (this.body.length + chunk.length > this.options.maxMessageBytes) this.abort(this.tooLarge());
    else this.body.push(chunk);
  }

  onResponseEnd(): void {
    if (this.over) return;
    if (this.status < 200 || this.status > 299) {
      this.reject();
      return;
    }
    if (!this.sse && this.body.length > 0) this.readMessage(this.text(), this.body.length);
    this.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.finish(this.aborted ?? error);
  }

  private reader(): SseReader {
    return new SseReader({
      maxBytes: this.options.maxMessageBytes,
      onEvent: (event) => {
        if (this.over) return;
        if (event.event !== undefined && event.event !== 'message') this.on.event?.(event);
        else if (event.data !== '') this.readMessage(event.data);
      },
      onId: (id) => this.on.eventId?.(id),
      onRetry: (ms) => this.on.retry?.(ms),
      onOversize: () => this.abort(this.tooLarge()),
    });
  }

  private text(): string {
    return this.body.bytes().toString('utf8');
  }

  /** A refusal may hold a JSON-RPC error, which may be the answer (modern servers use 400 and 404 so). */
  private reject(): void {
    const text = this.text();
    const { redaction } = this.options;
    const refusal = readRefusal(text);
    const answer = refusal?.error && { ...refusal, error: redaction.error(refusal.error) };
    // a secret that is cut in two would not be found
    const body = redaction.text(text.slice(0, 2 * REJECTION_BYTES)).slice(0, REJECTION_BYTES);
    this.finish(new HttpRejection(this.status, body, answer));
  }

  private readMessage(text: string, size = Buffer.byteLength(text)): void {
    if (this.over) return;
    if (size > this.options.maxMessageBytes) {
      this.abort(this.tooLarge());
      return;
    }
    try {
      this.on.message?.(text, size);
    } catch (error) {
      const why = `The server "${this.options.server}" answered with something that is not MCP: ${this.options.redaction.text(reasonOf(error))}`;
      this.abort(new GatewayError('upstream_protocol', why));
    }
  }

  private finish(error?: Error): void {
    if (this.over) return;
    this.over = true;
    this.body.clear();
    this.options.ended();
    this.on.end(error);
  }

  private tooLarge(): GatewayError {
    const { server, maxMessageBytes } = this.options;
    const message = `The server "${server}" sent a message of more than ${maxMessageBytes} bytes (limits.upstreamMessage).`;
    return new GatewayError('upstream_message_too_large', message);
  }
}

function readRefusal(text: string): ResponseFrame | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const frame = readInbound(text);
    return frame.kind === 'response' && frame.error ? frame : undefined;
  } catch {
    return undefined; // not JSON-RPC: the status is all there is
  }
}
