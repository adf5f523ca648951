// Sends HTTP requests to one server; has its URL, its credentials and its open exchanges.
import type { Dispatcher } from 'undici';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { Secret } from '../../../core/secret.ts';
import { Slots } from '../../../core/slots.ts';
import { within } from '../../../core/wait.ts';
import type { Redaction } from '../redaction.ts';
import { transportError } from './http-errors.ts';
import { type ExchangeHandlers, HttpExchange, ReadFairness, type ResponseHeaders } from './http-exchange.ts';
import type { Timeouts, WireRequest } from './wire.ts';
import { NAMED_METHODS } from '../../../protocol/mcp/methods.ts';
import { MODERN_VERSION } from '../../../protocol/mcp/versions.ts';
import { encodeHeaderValue } from '../../../protocol/mcp/param-headers.ts';

export interface HttpEndpointOptions {
  readonly server: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  readonly maxMessageBytes: number;
  /** Most array elements and object members of one message. */
  readonly maxItems: number;
  readonly redaction: Redaction;
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
  private readonly options: HttpEndpointOptions;
  private readonly path: string;
  private readonly open = new Slots<HttpExchange>();
  private readonly fairness = new ReadFairness();
  /** Messages that the server has not accepted yet. */
  private posting = 0;
  private flushed: PromiseWithResolvers<void> | undefined;

  constructor(options: HttpEndpointOptions) {
    this.options = options;
    this.url = new URL(options.url);
    this.path = this.url.pathname + this.url.search;
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
    const { server, maxMessageBytes, maxItems, redaction, dispatcher } = this.options;
    const exchange: HttpExchange = new HttpExchange(
      { server, maxMessageBytes, maxItems, redaction, fairness: this.fairness, ended: () => void this.open.take(slot) },
      on,
    );
    const slot = this.open.add(exchange);
    dispatcher.dispatch({ path: this.path, ...request, origin: this.url.origin }, exchange);
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
    const ahead = Promise.all([this.ahead, within(posted, BOUNDS.messageAhead).catch(() => undefined)]).then(() => {
      if (this.ahead === ahead) this.ahead = undefined;
    });
    this.ahead = ahead;
    return posted;
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

type Headers = Record<string, string>;

/** Era, version and session id are unknown at first. */
export class HttpSession {
  era: 'legacy' | 'modern' | undefined;
  private version: string | undefined;
  private id: string | undefined;
  private readonly endpoint: HttpEndpoint;

  constructor(endpoint: HttpEndpoint) {
    this.endpoint = endpoint;
  }

  /** Whether the server assigned a session id. */
  get assigned(): boolean {
    return this.id !== undefined;
  }

  adopt({ era, version }: { era: 'legacy' | 'modern'; version: string }): void {
    this.era = era;
    this.version = version;
  }

  /** Reads the session id from the response to `initialize`. */
  read(headers: ResponseHeaders): void {
    const id = headers['mcp-session-id'];
    if (typeof id === 'string' && id.length <= BOUNDS.upstreamSessionId && /^[\x21-\x7e]+$/.test(id)) this.id = id;
  }

  requestHeaders(request: WireRequest): Headers {
    const headers: Headers = { ...this.endpoint.headers, ...request.headers };
    if (this.era === 'legacy' || request.method === 'initialize') return this.withSession(headers);
    headers['mcp-protocol-version'] = this.version ?? MODERN_VERSION;
    headers['mcp-method'] = request.method;
    const named = NAMED_METHODS[request.method];
    const name = named && request.params[named];
    if (typeof name === 'string') headers['mcp-name'] = encodeHeaderValue(name);
    return headers;
  }

  /** Headers of a notification, or of an answer to the server. */
  messageHeaders(method: string): Headers {
    const headers: Headers = { ...this.endpoint.headers };
    if (this.era !== 'modern') return this.withSession(headers);
    headers['mcp-protocol-version'] = this.version ?? MODERN_VERSION;
    headers['mcp-method'] = method;
    return headers;
  }

  /** Headers of a GET; `lastEventId` if it resumes a stream (2025-11-25 transports, Resumability and Redelivery). */
  streamHeaders(lastEventId?: string): Headers {
    const headers = this.withSession({ ...this.endpoint.streamHeaders });
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    return headers;
  }

  deletionHeaders(): Headers {
    return this.withSession({ ...this.endpoint.headers });
  }

  private withSession(headers: Headers): Headers {
    if (this.id !== undefined) headers['mcp-session-id'] = this.id;
    // 2025-06-18 introduced this header
    if (this.version !== undefined && this.version >= '2025-06-18') headers['mcp-protocol-version'] = this.version;
    return headers;
  }
}
