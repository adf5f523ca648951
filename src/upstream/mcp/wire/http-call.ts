// One request over Streamable HTTP: its POST, and the GETs that go on reading its answer where the server closed the stream before it.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { notificationText, requestText, type ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { Redaction } from '../redaction.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { HttpEndpoint } from './http-endpoint.ts';
import { concludesNothing, isSessionUnknown, transportError } from './http-errors.ts';
import type { ExchangeHandlers, HttpExchange, ResponseHeaders } from './http-exchange.ts';
import type { HttpSession } from './http-session.ts';
import { Pending } from './pending.ts';
import { StreamCursor } from './stream-cursor.ts';
import { HttpRejection, SessionLost, type Timeouts, type WireRequest } from './wire.ts';

/** What a call needs of its wire. */
export interface CallWire {
  readonly server: string;
  readonly timeouts: Timeouts;
  readonly deadlines: Deadlines;
  readonly endpoint: HttpEndpoint;
  readonly session: HttpSession;
  readonly redaction: Redaction;
  /** One message on the stream of a call; `resumed` where it may also be for another one. Throws, or rejects with, GatewayError where it is not MCP. */
  receive(message: { text: string; bytes: number; resumed: boolean }, call: HttpCall): Promise<void> | void;
  /** Tells the server something about the call that nobody waits for, ahead of whatever is sent next. */
  tell(text: string): void;
  /** The call is over. */
  forget(id: number): void;
}

/** What finds out what the server speaks: its refusals are for the handshake to judge. */
const HANDSHAKE = ['server/discover', 'initialize'];

/** A request in flight. Its clocks are those of `Pending`, so undici keeps none for it. */
export class HttpCall implements ExchangeHandlers {
  readonly pending: Pending;
  private readonly wire: CallWire;
  private readonly hadSession: boolean;
  private id = 0;
  private exchange: HttpExchange | undefined;
  private streams = false;
  private resumed = false;
  private cursor: StreamCursor | undefined;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private lingering: Deadline | undefined;

  constructor(request: WireRequest, wire: CallWire) {
    this.wire = wire;
    this.hadSession = wire.session.assigned;
    this.pending = new Pending(request, {
      server: wire.server,
      deadlines: wire.deadlines,
      onAbandon: (reason) => this.abandon(reason),
    });
  }

  /** Sends the request under this id, after what must be there first. */
  start(id: number): void {
    this.id = id;
    const { ahead } = this.wire.endpoint;
    if (ahead === undefined) this.send();
    else
      void ahead.then(() => {
        if (!this.pending.done) this.send();
      });
  }

  private send(): void {
    const { id } = this;
    const { request, deadline } = this.pending;
    this.exchange = this.wire.endpoint.send(
      {
        method: 'POST',
        headers: this.wire.session.requestHeaders(request),
        body: requestText(id, request.method, this.pending.paramsFor(id)),
        bodyTimeout: 0, // a listening stream may say nothing for hours; every other has its deadline
        ...(deadline && { headersTimeout: 0 }),
      },
      this,
    );
  }

  started(): void {
    this.pending.deadline?.awaits('firstByte', this.wire.timeouts.firstByte);
  }

  headers(headers: ResponseHeaders, streams: boolean): void {
    this.streams = streams;
    this.failures = 0;
    this.pending.deadline?.awaits('idle', this.wire.timeouts.idle);
    if (this.pending.request.method === 'initialize') this.wire.session.read(headers);
  }

  heard(): void {
    this.pending.deadline?.heard();
  }

  eventId(id: string): void {
    (this.cursor ??= new StreamCursor()).eventId(id);
  }

  retry(ms: number): void {
    (this.cursor ??= new StreamCursor()).retry(ms);
  }

  message(text: string, bytes: number): Promise<void> | void {
    this.cursor?.brought();
    return this.wire.receive({ text, bytes, resumed: this.resumed }, this);
  }

  /** Takes the answer; `own` where it came on the stream of the call itself. */
  answer(frame: Pick<ResponseFrame, 'result' | 'error'>, { bytes, own }: { bytes: number; own: boolean }): void {
    this.wire.forget(this.id);
    this.pending.succeed({
      ...(frame.result && { result: frame.result }),
      ...(frame.error && { error: this.wire.redaction.error(frame.error) }),
      bytes,
    });
    clearTimeout(this.timer);
    if (!own) this.leave();
    else if (this.streams) this.linger();
  }

  fail(error: unknown): void {
    this.wire.forget(this.id);
    clearTimeout(this.timer);
    this.pending.fail(error);
  }

  end(error?: Error): void {
    this.lingering?.clear();
    if (this.pending.done) return;
    const { server, timeouts } = this.wire;
    if (this.mayResume(error)) this.resume(error);
    else if (this.resumed) this.fail(this.notResumed(error));
    else if (error instanceof HttpRejection) this.onRejection(error);
    else if (error) this.fail(transportError(server, error, timeouts));
    else this.fail(unanswered(server, this.pending.request.method));
  }

  /** The server should end the stream after the answer (transports, Sending Messages); that is not waited for without end. */
  private linger(): void {
    const { deadlines } = this.wire;
    if (this.exchange?.ended === false) this.lingering = deadlines.start(BOUNDS.answeredStream, 0, () => this.leave());
  }

  private leave(): void {
    this.exchange?.abort(new Error('The answer has come.'));
  }

  /** Over modern HTTP the closed stream has said it all; a legacy server wants the notification (wire.md, Cancellation). */
  private abandon(reason: string): void {
    this.wire.forget(this.id);
    clearTimeout(this.timer);
    this.exchange?.abort(new GatewayError('cancelled', reason));
    if (this.wire.session.era !== 'legacy' || this.pending.request.method === 'initialize') return;
    this.wire.tell(notificationText('notifications/cancelled', { requestId: this.id, reason }));
  }

  /** A stream is resumed after an event with an id; what we ended ourselves, or the server refused, stays ended. */
  private mayResume(error: Error | undefined): boolean {
    if (this.cursor?.id === undefined || error instanceof GatewayError) return false;
    if (this.wire.session.era !== 'legacy' && this.pending.request.method !== 'initialize') return false;
    return !(error instanceof HttpRejection) || concludesLittle(error.status);
  }

  private resume(error: Error | undefined): void {
    const { cursor } = this;
    if (error && ++this.failures > BOUNDS.resumeFailures) {
      this.fail(this.notResumed(error));
      return;
    }
    this.pending.deadline?.awaitsNothing();
    this.timer = setTimeout(() => this.poll(cursor?.id), cursor?.waitMs(this.failures)).unref();
  }

  private poll(lastEventId: string | undefined): void {
    this.resumed = true;
    this.cursor?.opened();
    this.exchange = this.wire.endpoint.send(
      {
        method: 'GET',
        headers: this.wire.session.streamHeaders(lastEventId),
        bodyTimeout: 0,
        ...(this.pending.deadline && { headersTimeout: 0 }),
      },
      this,
    );
  }

  /** A refusal by status: the session is gone, or its body is the answer, or it says something about the server. */
  private onRejection(rejection: HttpRejection): void {
    const { server, timeouts, session } = this.wire;
    const { status, answer } = rejection;
    if (this.hadSession && session.era === 'legacy' && isSessionUnknown(rejection)) {
      this.fail(new SessionLost(`The server "${server}" no longer knows the session.`));
      return;
    }
    const handshake = HANDSHAKE.includes(this.pending.request.method);
    const judged = concludesNothing(status) && (handshake || status < 408); // credentials are the gateway's own affair
    if (answer?.error && !judged && this.isOurs(rejection)) {
      this.answer({ error: answer.error }, { bytes: rejection.body.length, own: true });
    } else {
      this.fail(handshake ? rejection : transportError(server, rejection, timeouts));
    }
  }

  /** Without an id an error may speak of the URL: what does not take `initialize` may be HTTP+SSE (transports, Backwards Compatibility). */
  private isOurs({ status, answer }: HttpRejection): boolean {
    if (answer?.id !== undefined) return answer.id === this.id;
    return this.pending.request.method !== 'initialize' && !concludesNothing(status);
  }

  private notResumed(error: Error | undefined): GatewayError {
    const why = error ? ` (${this.wire.redaction.text(reasonOf(error))})` : '';
    const message = `The server "${this.wire.server}" closed the stream of ${this.pending.request.method} before the answer, and it could not be resumed${why}.`;
    return new GatewayError('upstream_closed', message, { cause: error });
  }
}

/** Refusals after which the same stream may still be had. */
function concludesLittle(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

function unanswered(server: string, method: string): GatewayError {
  return new GatewayError('upstream_closed', `The server "${server}" ended its answer to ${method} without a result.`);
}
