// JSON-RPC over Streamable HTTP, both eras: each request is a POST of its own.
import { type Dispatcher } from 'undici';
import { GatewayError } from '../../core/errors.ts';
import { type JsonObject } from '../../core/json.ts';
import { Slots } from '../../core/slots.ts';
import { type Secret } from '../../core/secret.ts';
import { encodeHeaderValue } from '../../protocol/mcp/header-values.ts';
import { type Frame, notificationText, type NotificationFrame, requestText } from '../../protocol/mcp/frames.ts';
import { NAMED_METHODS } from '../../protocol/mcp/methods.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { type Deadlines } from './deadlines.ts';
import { concludesNothing, isSessionUnknown, transportError } from './http-errors.ts';
import { HttpExchange, type HttpExchangeHandlers } from './http-exchange.ts';
import { answerTo } from './inbound.ts';
import { Pending } from './pending.ts';
import {
  HttpRejection,
  SessionLost,
  type Timeouts,
  type Wire,
  type WireEvents,
  type WireReply,
  type WireRequest,
} from './wire.ts';

export interface HttpWireOptions {
  readonly server: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  readonly maxMessageBytes: number;
  readonly deadlines: Deadlines;
  readonly events: WireEvents;
  /** Takes secrets out of what the server says. */
  clean(text: string): string;
}

type HttpRequest = Pick<Dispatcher.DispatchOptions, 'method' | 'headers' | 'body' | 'bodyTimeout'>;

/** What an exchange is looked at for; its end always, the rest where it matters. */
type ExchangeHandlers = Partial<HttpExchangeHandlers> & Pick<HttpExchangeHandlers, 'end'>;

/** Most requests of one server at a time; beyond it a call is refused rather than queued without end. */
const MAX_IN_FLIGHT = 4096;

/** Waits before the standing stream of a legacy session is opened again, in ms. */
const STREAM_BACKOFF = [1_000, 5_000, 30_000];

/** The HTTP side of one connection: URL, credentials, session. */
export class HttpWire implements Wire {
  readonly transport = 'streamable-http';
  private readonly options: HttpWireOptions;
  private readonly origin: string;
  private readonly path: string;
  private readonly fixedHeaders: Readonly<Record<string, string>>;
  private readonly open = new Slots<HttpExchange>();
  private nextId = 1;
  private era: 'legacy' | 'modern' | undefined;
  private version: string | undefined;
  private session: string | undefined;
  private closed = false;
  private ended = false;
  private stream: HttpExchange | undefined;
  private streamTimer: NodeJS.Timeout | undefined;

  constructor(options: HttpWireOptions) {
    this.options = options;
    const url = new URL(options.url);
    this.origin = url.origin;
    this.path = url.pathname + url.search;
    this.fixedHeaders = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...Object.fromEntries(
        Object.entries(options.headers).map(([name, secret]) => [name.toLowerCase(), secret.reveal()]),
      ),
    };
  }

  get stateful(): boolean {
    return this.session !== undefined;
  }

  request(request: WireRequest): Promise<WireReply> {
    const { server, deadlines, timeouts } = this.options;
    const refusal = this.refusal();
    if (refusal) return Promise.reject(refusal);
    const id = this.nextId++;
    const hadSession = this.session !== undefined;
    const pending = new Pending(request, {
      server,
      deadlines,
      onAbandon: (reason) => {
        exchange.abort(new GatewayError('cancelled', reason));
        this.cancel(id, request.method, reason);
      },
    });
    if (pending.done) return pending.promise; // cancelled before it was sent
    const body = requestText(id, request.method, pending.paramsFor(id));
    const quiet = request.totalMs === Infinity; // a listening stream may say nothing for hours
    const post = {
      method: 'POST',
      headers: this.requestHeaders(request),
      body,
      ...(quiet && { bodyTimeout: 0 }),
    } as const;
    const exchange = this.send(post, {
      headers: (headers) => this.readSession(request.method, headers['mcp-session-id']),
      frame: (frame, bytes) => this.onFrame(frame, pending, { id, bytes }),
      end: (error) => {
        if (pending.done) return;
        if (error instanceof HttpRejection) this.onRejection(error, pending, { id, hadSession });
        else pending.fail(error ? transportError(server, error, timeouts) : unanswered(server, request.method));
      },
    });
    return pending.promise;
  }

  /** Why no request can be sent now. */
  private refusal(): GatewayError | undefined {
    const { server } = this.options;
    if (this.closed) return new GatewayError('upstream_closed', `The connection to "${server}" is closed.`);
    if (this.open.size < MAX_IN_FLIGHT) return undefined;
    const message = `The server "${server}" has ${MAX_IN_FLIGHT} requests in flight; try again shortly.`;
    return new GatewayError('overloaded', message);
  }

  /** A refusal by status: the session is gone, or its body is the answer, or it says something about the server. */
  private onRejection(
    rejection: HttpRejection,
    pending: Pending,
    { id, hadSession }: { id: number; hadSession: boolean },
  ): void {
    const { server, timeouts } = this.options;
    const { status, answer } = rejection;
    if (hadSession && this.era === 'legacy' && isSessionUnknown(rejection)) {
      pending.fail(new SessionLost(`The server "${server}" no longer knows the session.`));
      return;
    }
    const handshake = pending.request.method === 'server/discover' || pending.request.method === 'initialize';
    const ours = answer?.id === id || (answer !== undefined && answer.id === undefined && !concludesNothing(status));
    const judged = concludesNothing(status) && (handshake || status < 408); // credentials are the gateway's own affair
    if (answer?.error && ours && !judged) pending.succeed({ error: answer.error, bytes: rejection.body.length });
    else {
      const shown = new HttpRejection(status, this.options.clean(rejection.body), answer);
      pending.fail(handshake ? shown : transportError(server, shown, timeouts));
    }
  }

  async notify(method: string, params: JsonObject): Promise<void> {
    await this.post(notificationText(method, params), method);
  }

  adopt(session: { era: 'legacy' | 'modern'; version: string }): void {
    this.era = session.era;
    this.version = session.version;
    if (session.era === 'legacy') this.openStream(0, false);
  }

  async retire(): Promise<void> {
    this.closed = true;
    clearTimeout(this.streamTimer);
    this.stream?.abort(new GatewayError('upstream_closed', 'The session is over.'));
    await this.options.dispatcher.close();
  }

  async close(): Promise<void> {
    if (this.ended) return;
    const retired = this.closed;
    this.ended = true;
    this.closed = true;
    clearTimeout(this.streamTimer);
    const reason = new GatewayError('upstream_closed', `The connection to "${this.options.server}" was closed.`);
    for (const exchange of this.open.all()) exchange.abort(reason);
    if (this.session !== undefined && !retired) await this.endSession();
    await this.options.dispatcher.destroy();
  }

  /** Answers of the server to this POST, and what belongs to it. */
  private onFrame(frame: Frame, pending: Pending, { id, bytes }: { id: number; bytes: number }): void {
    if (frame.kind === 'notification') this.onNotification(frame, pending);
    else if (frame.kind === 'request') this.reply(answerTo(frame));
    else if (frame.id === id || (frame.id === undefined && frame.error)) {
      pending.succeed({
        ...(frame.result && { result: frame.result }),
        ...(frame.error && { error: frame.error }),
        bytes,
      });
    } else this.options.events.noise('an answer to another request on this stream');
  }

  /** News of the offer may come on the stream of any call; everything else on it belongs to that call. */
  private onNotification({ method, params }: NotificationFrame, pending: Pending): void {
    const news = method.endsWith('/list_changed') || method === 'notifications/resources/updated';
    if (news && !pending.request.onNotification) this.options.events.notification(method, params);
    else pending.notify(method, params);
  }

  private requestHeaders(request: WireRequest): Record<string, string> {
    const headers: Record<string, string> = { ...this.fixedHeaders, ...request.headers };
    if (this.era === 'legacy' || request.method === 'initialize') {
      this.addSession(headers);
      return headers;
    }
    headers['mcp-protocol-version'] = this.version ?? MODERN_VERSION;
    headers['mcp-method'] = request.method;
    const named = NAMED_METHODS[request.method];
    const name = named && request.params[named];
    if (typeof name === 'string') headers['mcp-name'] = encodeHeaderValue(name);
    return headers;
  }

  private addSession(headers: Record<string, string>): void {
    if (this.session !== undefined) headers['mcp-session-id'] = this.session;
    // the header came with 2025-06-18; older servers never saw it
    if (this.version !== undefined && this.version >= '2025-06-18') headers['mcp-protocol-version'] = this.version;
  }

  private readSession(method: string, session: string | string[] | undefined): void {
    if (method === 'initialize' && typeof session === 'string' && /^[\x21-\x7e]{1,1024}$/.test(session))
      this.session = session;
  }

  /** Over modern HTTP the closed stream has said it all; a legacy server wants the notification (wire.md, Cancellation). */
  private cancel(id: number, method: string, reason: string): void {
    if (this.era !== 'legacy' || method === 'initialize') return;
    this.reply(notificationText('notifications/cancelled', { requestId: id, reason }));
  }

  private reply(text: string): void {
    this.post(text, 'answer').catch((error: unknown) =>
      this.options.events.noise(`a message could not be delivered: ${String(error)}`),
    );
  }

  private post(text: string, method: string): Promise<void> {
    const { server, timeouts } = this.options;
    const headers = { ...this.fixedHeaders };
    if (this.era === 'modern') Object.assign(headers, { 'mcp-protocol-version': this.version, 'mcp-method': method });
    else this.addSession(headers);
    return new Promise((resolve, reject) => {
      this.send(
        { method: 'POST', headers, body: text },
        { end: (error) => (error ? reject(transportError(server, error, timeouts)) : resolve()) },
      );
    });
  }

  /** The standing stream of a legacy session: list changes and the like. Servers without one answer 405. */
  private openStream(attempt: number, reopened: boolean): void {
    if (this.closed) return;
    const { events } = this.options;
    const headers: Record<string, string> = { ...this.fixedHeaders, accept: 'text/event-stream' };
    delete headers['content-type'];
    this.addSession(headers);
    let live = false;
    this.stream = this.send(
      { method: 'GET', headers, bodyTimeout: 0 },
      {
        headers: () => {
          live = true;
          if (reopened) events.missed();
        },
        frame: (frame) => {
          if (frame.kind === 'notification') events.notification(frame.method, frame.params);
          else if (frame.kind === 'request') this.reply(answerTo(frame));
        },
        end: (error) => {
          if (this.closed) return;
          if (error instanceof HttpRejection && !concludesNothing(error.status)) {
            // a server that never had the stream says 405, or whatever; one that had it has forgotten the session
            if (reopened && isSessionUnknown(error)) events.closed('the server no longer knows the session');
            return;
          }
          this.reopenStream(live ? 0 : attempt + 1, reopened || live);
        },
      },
    );
  }

  private reopenStream(attempt: number, reopened: boolean): void {
    const wait = STREAM_BACKOFF[Math.min(attempt, STREAM_BACKOFF.length - 1)];
    this.streamTimer = setTimeout(() => this.openStream(attempt, reopened), wait).unref();
  }

  /** Begins one HTTP exchange, which is open until its `end`. */
  private send(request: HttpRequest, on: ExchangeHandlers): HttpExchange {
    const { server, maxMessageBytes, dispatcher } = this.options;
    const exchange: HttpExchange = new HttpExchange({
      server,
      maxMessageBytes,
      headers: on.headers ?? ignore,
      frame: on.frame ?? ignore,
      end: (error) => {
        this.open.take(slot);
        on.end(error);
      },
    });
    const slot = this.open.add(exchange);
    dispatcher.dispatch({ origin: this.origin, path: this.path, ...request }, exchange);
    return exchange;
  }

  private endSession(): Promise<void> {
    const headers: Record<string, string> = { ...this.fixedHeaders };
    this.addSession(headers);
    return new Promise((resolve) => {
      // a server may refuse DELETE (405) or be gone: the session is over for us either way
      const exchange = this.send({ method: 'DELETE', headers }, { end: () => resolve() });
      setTimeout(() => exchange.abort(new Error('DELETE took too long')), 2_000).unref();
    });
  }
}

function ignore(): void {
  // what this exchange is sent besides its end means nothing
}

function unanswered(server: string, method: string): GatewayError {
  return new GatewayError('upstream_closed', `The server "${server}" ended its answer to ${method} without a result.`);
}
