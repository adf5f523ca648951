// One HTTP request to a server, from headers to the messages in its body or stream.
import type { Dispatcher } from 'undici';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { ByteAccumulator } from '../../../core/byte-accumulator.ts';
import { InOrder } from '../../../core/in-order.ts';
import type { ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { DroppedLine } from '../../../protocol/mcp/line-splitter.ts';
import { type SseEvent, SseReader } from '../../../protocol/mcp/sse.ts';
import type { Redaction } from '../redaction.ts';
import { BrokenAnswer, readInbound } from './inbound.ts';
import type { Pausable, ReadFairness } from './read-fairness.ts';
import { HttpRejection, tooLarge } from './wire.ts';

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
  /** A message over the limit, after which others may come; without it such a one ends the exchange. */
  dropped?(event: DroppedLine): void;
  /** The id of an event, before its message. */
  eventId?(id: string): void;
  /** The stream's `retry` field, in milliseconds. */
  retry?(ms: number): void;
  /** One message of the server; a promise where what follows has to wait for it. What it throws ends the exchange. */
  message?(text: string, bytes: number): Promise<void> | void;
  /** The exchange is over. Without an error, everything that was sent has been told. */
  end(error?: Error): void;
}

export interface ExchangeOptions {
  readonly server: string;
  readonly maxMessageBytes: number;
  readonly maxItems: number;
  readonly redaction: Redaction;
  /** What is read of the server, over all its exchanges. */
  readonly turns: ReadFairness;
  /** Called before the handler's own `end`. */
  ended(): void;
}

/** The undici handler of one POST or GET; reads a JSON body or an event stream, bounded, each message once. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  private readonly options: ExchangeOptions;
  private readonly on: ExchangeHandlers;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private wantsSignIn = false;
  private sse: SseReader | undefined;
  private readonly body = new ByteAccumulator();
  /** Messages that were read, and what comes after them. */
  private readonly messages = new InOrder();
  private paced: Pausable | undefined;
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
    if (status < 200 || status > 299) {
      this.wantsSignIn = String(headers['www-authenticate'] ?? '').includes('resource_metadata');
      return;
    }
    const streams = String(headers['content-type'] ?? '').startsWith('text/event-stream');
    if (streams) this.sse = this.reader();
    this.on.headers?.(headers, streams);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    this.options.turns.took(chunk.length, (this.paced ??= this.pacedBy(controller)));
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
    if (!this.sse && this.body.length > 0) {
      this.readMessage(this.text(), this.body.length);
      this.body.clear();
    }
    this.messages.run(() => this.finish());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.messages.run(() => this.finish(this.aborted ?? error));
  }

  /** Reading goes on once what was read has been handled. */
  private pacedBy(controller: Dispatcher.DispatchController): Pausable {
    return {
      pause: () => controller.pause(),
      resume: () => this.messages.run(() => controller.resume()),
    };
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
      onOversize: (maxLines) => this.abort(this.tooLarge(maxLines)),
      ...(this.on.dropped && { onDropped: (event: DroppedLine) => this.on.dropped?.(event) }),
    });
  }

  private text(): string {
    return this.body.bytes().toString('utf8');
  }

  /** A refusal may hold a JSON-RPC error, which may be the answer (modern servers use 400 and 404 so). */
  private reject(): void {
    const bytes = this.body.bytes();
    const text = bytes.toString('utf8', 0, Math.min(bytes.length, BOUNDS.refusalBody));
    const { wantsSignIn } = this;
    const { redaction } = this.options;
    const refusal = bytes.length <= BOUNDS.refusalBody ? readRefusal(text, this.options) : undefined;
    const answer = refusal?.error && { ...refusal, error: redaction.error(refusal.error) };
    // a secret that is cut in two would not be found
    const body = redaction.text(text.slice(0, 2 * BOUNDS.refusalText)).slice(0, BOUNDS.refusalText);
    this.finish(new HttpRejection(this.status, body, { answer, wantsSignIn }));
  }

  private readMessage(text: string, size = Buffer.byteLength(text)): void {
    if (this.over) return;
    if (size > this.options.maxMessageBytes) {
      this.abort(this.tooLarge());
      return;
    }
    this.messages.run(() => this.hand(text, size));
  }

  private hand(text: string, size: number): Promise<void> | void {
    if (this.over) return;
    try {
      return this.on.message?.(text, size)?.catch((error: unknown) => this.breakOff(error));
    } catch (error) {
      this.breakOff(error);
    }
  }

  /** A message could not be taken. */
  private breakOff(error: unknown): void {
    const why = `The server "${this.options.server}" answered with something that is not MCP: ${reasonOf(error)}`;
    const broken = error instanceof BrokenAnswer ? error : new GatewayError('upstream_protocol', why);
    this.abort(new GatewayError(broken.code, this.options.redaction.text(broken.message)));
  }

  private finish(error?: Error): void {
    if (this.over) return;
    this.over = true;
    this.body.clear();
    this.options.ended();
    this.on.end(error);
  }

  private tooLarge(maxLines?: number): GatewayError {
    const { server, maxMessageBytes } = this.options;
    return tooLarge(server, maxLines === undefined ? { maxBytes: maxMessageBytes } : { maxLines });
  }
}

function readRefusal(text: string, options: ExchangeOptions): ResponseFrame | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const frame = readInbound(text, options);
    return !(frame instanceof Promise) && frame.kind === 'response' && frame.error ? frame : undefined;
  } catch {
    return undefined; // not JSON-RPC: the status is all there is
  }
}
