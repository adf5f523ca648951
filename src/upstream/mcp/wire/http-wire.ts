// JSON-RPC over Streamable HTTP of both eras: each request is a POST of its own.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Slots } from '../../../core/slots.ts';
import { withDeadline } from '../../../core/wait.ts';
import { type Frame, notificationText } from '../../../protocol/mcp/frames.ts';
import type { Deadlines } from './deadlines.ts';
import { type CallWire, HttpCall } from './http-call.ts';
import { HttpEndpoint, type HttpEndpointOptions, HttpSession } from './http-endpoint.ts';
import { messageError } from './http-errors.ts';
import { BrokenAnswer, readInbound } from './inbound.ts';
import { StandingStream } from './standing-stream.ts';
import { InboundRouter } from './inbound-router.ts';
import { closed, type Wire, type WireEvents, type WireReply, type WireRequest } from './wire.ts';

export interface HttpWireOptions extends HttpEndpointOptions {
  readonly deadlines: Deadlines;
  readonly events: WireEvents;
}

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
  private readonly options: HttpWireOptions;
  private readonly endpoint: HttpEndpoint;
  private readonly session: HttpSession;
  private readonly calls = new Slots<HttpCall>();
  private readonly callWire: CallWire;
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
      send: (text, failed) => this.post(text, { failed }),
    });
    const { server, timeouts, deadlines, redaction } = options;
    this.callWire = {
      server,
      timeouts,
      deadlines,
      redaction,
      endpoint: this.endpoint,
      session: this.session,
      receive: ({ text, bytes, resumed }, call) => this.read(text, { bytes, call, shared: resumed }),
      postAhead: (text) => this.post(text, { ahead: true }),
      forget: (id) => void this.calls.take(id),
    };
  }

  get stateful(): boolean {
    return this.session.assigned;
  }

  request(request: WireRequest): Promise<WireReply> {
    const refusal = this.refusal();
    if (refusal) return Promise.reject(refusal);
    const call = new HttpCall(request, this.callWire);
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

  /** The error of a request that cannot be sent now. */
  private refusal(): GatewayError | undefined {
    const { server } = this.options;
    if (this.closed) return closed(server);
    if (this.calls.size < BOUNDS.upstreamRequests) return undefined;
    const message = `The server "${server}" has ${BOUNDS.upstreamRequests} requests in flight; try again shortly.`;
    return new GatewayError('overloaded', message);
  }

  /** Reads one message and dispatches it. Throws, or rejects, if it is not MCP, unless it shows that it answers another call. */
  private read(text: string, from: Source): Promise<void> | void {
    try {
      const frame = readInbound(text, this.options);
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

  /**
   * Sends a message that has no answer; with `ahead`, it reaches the server before every later request. Calls `failed` if it cannot be
   * delivered.
   */
  private post(
    text: string,
    { ahead = false, failed }: { ahead?: boolean; failed?: ((error: unknown) => void) | undefined },
  ): void {
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
    const exchange = this.endpoint.send(
      { method: 'DELETE', headers: this.session.deletionHeaders() },
      { end: () => resolve() },
    );
    return withDeadline(ended, BOUNDS.upstreamSessionDelete, () => exchange.abort(new Error('DELETE took too long')));
  }
}
