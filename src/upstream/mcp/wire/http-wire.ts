// JSON-RPC over Streamable HTTP of both eras: each request is a POST of its own.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Slots } from '../../../core/in-flight.ts';
import { withDeadline, within } from '../../../core/cancellation.ts';
import { MODERN_VERSION, NAMED_METHODS } from '../../../protocol/mcp/vocabulary.ts';
import { type Frame, notificationText } from '../../../protocol/mcp/frames.ts';
import { encodeHeaderValue } from '../../../protocol/mcp/param-headers.ts';
import { BrokenAnswer, readServerMessage } from '../../../protocol/mcp/strict-json.ts';
import { HttpCall } from './http-call.ts';
import { messageError } from './http-errors.ts';
import { HttpEndpoint, type HttpWireOptions, type ResponseHeaders } from './http-exchange.ts';
import { InboundRouter } from './inbound-router.ts';
import { StandingStream } from './standing-stream.ts';
import { closed, tooManyRequests, type Wire, type WireReply, type WireRequest } from './wire.ts';

/** The stream that a message came on, and its size. */
interface Source {
  readonly bytes: number;
  /** The call whose stream it is. */
  readonly call?: HttpCall;
  /** Whether answers to other calls may come on it too: on the standing stream and on resumed ones. */
  readonly shared: boolean;
}

/** The HTTP side of one connection. */
export class HttpWire implements Wire {
  readonly transport = 'streamable-http';
  readonly options: HttpWireOptions;
  readonly endpoint: HttpEndpoint;
  readonly session: HttpSession;
  private readonly calls = new Slots<HttpCall>();
  private readonly inbound: InboundRouter;
  private stream: StandingStream | undefined;
  private closed = false;
  private ended = false;
  private closing: Promise<void> | undefined;

  constructor(options: HttpWireOptions) {
    this.options = options;
    this.endpoint = new HttpEndpoint(options);
    this.session = new HttpSession(this.endpoint);
    this.inbound = new InboundRouter({
      events: options.events,
      pending: () => this.calls.all().map((call) => call.pending),
      find: (id) => this.calls.get(id)?.pending,
      send: (text, failed) => this.post(text, failed ? { failed } : {}),
    });
  }

  get stateful(): boolean {
    return this.session.assigned;
  }

  request(request: WireRequest): Promise<WireReply> {
    const refusal = this.refusal();
    if (refusal) return Promise.reject(refusal);
    const call = new HttpCall(request, this);
    // a call that was cancelled by now is not sent
    if (!call.pending.done) call.start(this.calls.add(call));
    return call.pending.promise;
  }

  async notify(method: string, params: JsonObject): Promise<void> {
    await this.endpoint.post(notificationText(method, params), { headers: this.session.messageHeaders(method) });
  }

  adopt(found: { era: 'legacy' | 'modern'; version: string }): void {
    this.session.adopt(found);
    this.inbound.adopt(found.era);
    if (found.era === 'modern' || this.closed) return;
    const { events } = this.options;
    this.stream = new StandingStream({
      endpoint: this.endpoint,
      session: this.session,
      message: (text, bytes) => this.read(text, { bytes, shared: true }),
      missed: () => events.missed(),
      sessionLost: () => events.closed('the server no longer knows the session'),
    });
    this.stream.open();
    // to a server that resumes streams, a stream that is opened during a call looks like that of the call (2025-11-25 transports, Resumability and Redelivery)
    this.endpoint.holdRequests(within(this.stream.answered, BOUNDS.standingStreamAnswer));
  }

  async retire(): Promise<void> {
    this.closed = true;
    this.stream?.close(new GatewayError('upstream_closed', 'The session is over.'));
    await this.endpoint.close();
  }

  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  private async end(): Promise<void> {
    const retired = this.closed;
    this.closed = true;
    const reason = closed(this.options.server);
    this.stream?.close(reason);
    for (const call of this.calls.clear()) call.pending.abandon(reason);
    await this.endpoint.flush(BOUNDS.upstreamFlush);
    this.ended = true;
    this.endpoint.abort(reason);
    this.inbound.close();
    if (this.session.assigned && !retired) await this.endSession();
    await this.endpoint.destroy();
  }

  /** The call is over. */
  forget(id: number): void {
    this.calls.take(id);
  }

  /** The error of a request that cannot be sent now. */
  private refusal(): GatewayError | undefined {
    const { server } = this.options;
    if (this.closed) return closed(server);
    return this.calls.size < BOUNDS.upstreamRequests ? undefined : tooManyRequests(server);
  }

  /** Reads one message and dispatches it. Throws, or rejects, if it is not MCP, unless it shows that it answers another call. */
  read(text: string, from: Source): Promise<void> | void {
    try {
      const frame = readServerMessage(text, this.options);
      if (!(frame instanceof Promise)) this.receive(frame, from);
      else
        return frame.then(
          (read) => this.receive(read, from),
          (error: unknown) => this.onBroken(error, from),
        );
    } catch (error) {
      this.onBroken(error, from);
    }
  }

  private onBroken(error: unknown, { call, shared }: Source): void {
    const found = shared && error instanceof BrokenAnswer ? this.calls.get(error.id) : undefined;
    if (!found || found === call) throw error;
    found.fail(error);
  }

  /** Dispatches one message. A shared stream may bring answers to other calls (2025-11-25 transports, Resumability and Redelivery). */
  private receive(frame: Frame, { bytes, call, shared }: Source): void {
    if (frame.kind !== 'response') {
      this.inbound.accept(frame, call?.pending);
      return;
    }
    const found = typeof frame.id === 'number' ? this.calls.get(frame.id) : undefined;
    if (call && !call.pending.done && (found === call || (frame.id === undefined && frame.error)))
      call.answer(frame, { bytes, own: true });
    else if (found && shared) found.answer(frame, { bytes, own: false });
    else this.inbound.diagnostic('an answer to another request on this stream, or a second one');
  }

  /** Sends a message that has no answer; with `ahead`, it reaches the server before every later request. Calls `failed` if it cannot be delivered. */
  post(text: string, { ahead = false, failed }: { ahead?: boolean; failed?: (error: unknown) => void }): void {
    if (this.ended) return;
    if (this.session.era === 'modern') {
      this.inbound.diagnostic('a request, which no server of 2026-07-28 sends; it was not answered');
      return;
    }
    const to = { headers: this.session.messageHeaders('') };
    const posted = ahead ? this.endpoint.postAhead(text, to) : this.endpoint.post(text, to);
    posted.catch((thrown: unknown) => {
      if (this.ended) return;
      const error = this.session.assigned ? messageError(this.options.server, thrown) : thrown;
      this.inbound.diagnostic(`a message could not be delivered: ${reasonOf(error)}`);
      failed?.(error);
    });
  }

  private endSession(): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // the server may refuse DELETE (405) or not answer: for the gateway the session is over either way
    const headers = this.session.deletionHeaders();
    const exchange = this.endpoint.send({ method: 'DELETE', headers }, { end: () => resolve() });
    return withDeadline(ended, BOUNDS.upstreamSessionDelete, () => exchange.abort(new Error('DELETE took too long')));
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
