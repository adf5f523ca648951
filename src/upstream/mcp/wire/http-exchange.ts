// The HTTP exchanges with one server: sends requests to its URL, and reads the messages in the JSON body or event stream of each response.
import type { Dispatcher } from 'undici';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { ByteAccumulator } from '../../../core/byte-accumulator.ts';
import { InOrder, ReadFairness, Slots } from '../../../core/in-flight.ts';
import type { Secret } from '../../../core/secret.ts';
import { within } from '../../../core/cancellation.ts';
import type { ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { DroppedLine } from '../../../protocol/mcp/line-splitter.ts';
import { type SseEvent, SseReader } from '../../../protocol/mcp/sse.ts';
import { BrokenAnswer, readServerMessage } from '../../../protocol/mcp/strict-json.ts';
import { transportError } from './http-errors.ts';
import { HttpRejection, tooLarge, type WireOptions } from './wire.ts';

export interface HttpWireOptions extends WireOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly dispatcher: Dispatcher;
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What the owner of an exchange hears of it. */
export interface ExchangeHandlers {
  /** The gateway sends the request now, on an open connection. */
  started?(): void;
  /** The response to an accepted request begins; header names are lower-case. */
  headers?(headers: ResponseHeaders, isStream: boolean): void;
  /** Bytes came. */
  received?(): void;
  /** An event of the stream that is no message. */
  event?(event: SseEvent): void;
  /** A message was over the limit; others may follow. Without this handler, such a message ends the exchange. */
  dropped?(event: DroppedLine): void;
  /** The id of an event, before its message. */
  eventId?(id: string): void;
  /** The stream's `retry` field, in milliseconds. */
  retry?(ms: number): void;
  /** One message of the server. The next one is passed on when the promise has resolved. An error ends the exchange. */
  message?(text: string, bytes: number): Promise<void> | void;
  /** The exchange is over. Without an error, every message was passed on. */
  end(error?: Error): void;
}

export interface ExchangeOptions extends Pick<WireOptions, 'server' | 'maxMessageBytes' | 'maxItems' | 'redaction'> {
  /** Shared by all exchanges with the server. */
  readonly fairness: ReadFairness;
  /** Called before the handler's own `end`. */
  ended(exchange: HttpExchange): void;
}

/** The undici handler of one POST, GET or DELETE. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  /** Its key among the open exchanges. */
  slot = 0;
  private readonly options: ExchangeOptions;
  private readonly on: ExchangeHandlers;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private wantsSignIn = false;
  private sse: SseReader | undefined;
  private readonly body = new ByteAccumulator();
  /** Passes messages on, and ends the exchange after the last one. */
  private readonly messages = new InOrder();
  private over = false;
  private aborted: Error | undefined;

  constructor(options: ExchangeOptions, handlers: ExchangeHandlers) {
    this.options = options;
    this.on = handlers;
  }

  get ended(): boolean {
    return this.over;
  }

  /** Closes the exchange, which cancels the request at a modern server (streamable-http, Cancellation). */
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
    const isStream = String(headers['content-type'] ?? '').startsWith('text/event-stream');
    if (isStream) this.sse = this.reader();
    this.on.headers?.(headers, isStream);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    this.options.fairness.read(chunk.length, controller, this.messages);
    this.on.received?.();
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

  /** The body of a refusal may be a JSON-RPC error and so the answer: modern servers send 400 and 404 with one. */
  private reject(): void {
    const bytes = this.body.bytes();
    const text = bytes.toString('utf8', 0, Math.min(bytes.length, BOUNDS.refusalBody));
    const { wantsSignIn } = this;
    const { redaction } = this.options;
    const refusal = bytes.length <= BOUNDS.refusalBody ? readRefusal(text, this.options) : undefined;
    const answer = refusal?.error && { ...refusal, error: redaction.error(refusal.error) };
    // secrets are removed before the text is cut to its length, since half a secret would not be found
    const body = redaction.text(text.slice(0, 2 * BOUNDS.refusalText)).slice(0, BOUNDS.refusalText);
    this.finish(new HttpRejection(this.status, body, { answer, wantsSignIn }));
  }

  private readMessage(text: string, size = Buffer.byteLength(text)): void {
    if (this.over) return;
    if (size > this.options.maxMessageBytes) {
      this.abort(this.tooLarge());
      return;
    }
    this.messages.run(() => this.deliver(text, size));
  }

  private deliver(text: string, size: number): Promise<void> | void {
    if (this.over) return;
    try {
      return this.on.message?.(text, size)?.catch((error: unknown) => this.breakOff(error));
    } catch (error) {
      this.breakOff(error);
    }
  }

  /** The handler refused a message. */
  private breakOff(error: unknown): void {
    const why = `The server "${this.options.server}" answered with something that is not MCP: ${reasonOf(error)}`;
    const broken = error instanceof BrokenAnswer ? error : new GatewayError('upstream_protocol', why);
    this.abort(new GatewayError(broken.code, this.options.redaction.text(broken.message)));
  }

  private finish(error?: Error): void {
    if (this.over) return;
    this.over = true;
    this.body.clear();
    this.options.ended(this);
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
    const frame = readServerMessage(text, options);
    return !(frame instanceof Promise) && frame.kind === 'response' && frame.error ? frame : undefined;
  } catch {
    return undefined; // not JSON-RPC: only the status counts
  }
}

/** One request; `path` if it does not go to the URL itself. */
export type HttpRequest = Pick<
  Dispatcher.DispatchOptions,
  'method' | 'headers' | 'body' | 'bodyTimeout' | 'headersTimeout'
> & { readonly path?: string };

/** The URL of a server, and every exchange with it. */
export class HttpEndpoint {
  /** Headers of every POST. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of every GET that opens a stream. */
  readonly streamHeaders: Readonly<Record<string, string>>;
  readonly url: URL;
  /** Resolves when the server has the messages that must reach it before the next request; undefined if it has all. */
  ahead: Promise<void> | undefined;
  private readonly options: HttpWireOptions;
  private readonly exchanges: ExchangeOptions;
  private readonly origin: string;
  private readonly path: string;
  private readonly open = new Slots<HttpExchange>();
  private readonly fairness = new ReadFairness();
  /** Messages that the server has not accepted yet. */
  private posting = 0;
  private flushed: PromiseWithResolvers<void> | undefined;

  constructor(options: HttpWireOptions) {
    this.options = options;
    this.url = new URL(options.url);
    this.origin = this.url.origin;
    this.path = this.url.pathname + this.url.search;
    const { server, maxMessageBytes, maxItems, redaction } = options;
    const ended = ({ slot }: HttpExchange) => void this.open.take(slot);
    this.exchanges = { server, maxMessageBytes, maxItems, redaction, fairness: this.fairness, ended };
    const given = Object.fromEntries(
      Object.entries(options.headers).map(([name, secret]) => [name.toLowerCase(), secret.reveal()]),
    );
    this.headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...given,
    };
    this.streamHeaders = { ...given, accept: 'text/event-stream' };
  }

  /** Begins an HTTP exchange, which is open until its handler's `end` is called. */
  send(request: HttpRequest, on: ExchangeHandlers): HttpExchange {
    const exchange = new HttpExchange(this.exchanges, on);
    exchange.slot = this.open.add(exchange);
    const {
      method,
      headers = null,
      body = null,
      path = this.path,
      bodyTimeout = null,
      headersTimeout = null,
    } = request;
    const { origin, options } = this;
    options.dispatcher.dispatch({ origin, path, method, headers, body, bodyTimeout, headersTimeout }, exchange);
    return exchange;
  }

  /** Sends a message that has no answer; resolves when the server has accepted it. Throws GatewayError: `overloaded` if too many exchanges are open. */
  post(body: string, to: { headers: Readonly<Record<string, string>>; path?: string }): Promise<void> {
    const { server, timeouts } = this.options;
    if (this.open.size >= BOUNDS.upstreamExchanges) {
      const message = `${BOUNDS.upstreamExchanges} messages for the server "${server}" are on their way; try again shortly.`;
      return Promise.reject(new GatewayError('overloaded', message));
    }
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => {
        if (--this.posting === 0) this.flushed?.resolve();
        if (error) reject(transportError(server, error, timeouts));
        else resolve();
      };
      this.posting++;
      this.send({ method: 'POST', ...to, body }, { end });
    });
  }

  /** Like `post`, for a message that must reach the server before every later request. */
  postAhead(body: string, to: { headers: Readonly<Record<string, string>> }): Promise<void> {
    const posted = this.post(body, to);
    this.holdRequests(posted);
    return posted;
  }

  /** Later requests wait until a promise settles, for a limited time. */
  holdRequests(until: Promise<unknown>): void {
    const ahead = Promise.all([this.ahead, within(until, BOUNDS.messageAhead).catch(() => undefined)]).then(() => {
      if (this.ahead === ahead) this.ahead = undefined;
    });
    this.ahead = ahead;
  }

  /** Resolves when the server has accepted every message, or after `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    if (this.posting === 0) return;
    this.flushed ??= Promise.withResolvers();
    await within(this.flushed.promise, limitMs);
  }

  /** Ends every exchange. */
  abort(reason: Error): void {
    for (const exchange of this.open.all()) exchange.abort(reason);
  }

  /** Begins no exchange any more; resolves when the open ones have ended by themselves. */
  close(): Promise<void> {
    return this.options.dispatcher.close();
  }

  destroy(): Promise<void> {
    return this.options.dispatcher.destroy();
  }
}
