// One request over Streamable HTTP: its POST, and the GETs that resume its stream if the server closes that before the answer.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import { notificationText, requestText, type ResponseFrame } from '../../../protocol/mcp/frames.ts';
import { isInconclusive, isSessionUnknown, transportError } from './http-errors.ts';
import type { ExchangeHandlers, HttpExchange, ResponseHeaders } from './http-exchange.ts';
import type { HttpWire } from './http-wire.ts';
import { type Deadline, Pending } from './pending.ts';
import { StreamCursor } from './standing-stream.ts';
import { HttpRejection, SessionLost, type WireRequest } from './wire.ts';

/** Requests whose refusals the handshake interprets. */
const HANDSHAKE = ['server/discover', 'initialize'];

/** A request in flight. `Pending` has its time limits, so undici gets none. */
export class HttpCall implements ExchangeHandlers {
  readonly pending: Pending;
  private readonly wire: HttpWire;
  private readonly hadSession: boolean;
  private id = 0;
  private exchange: HttpExchange | undefined;
  private isStream = false;
  private resumed = false;
  private cursor: StreamCursor | undefined;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private closing: Deadline | undefined;

  constructor(request: WireRequest, wire: HttpWire) {
    this.wire = wire;
    this.hadSession = wire.session.assigned;
    this.pending = new Pending(request, {
      server: wire.options.server,
      deadlines: wire.options.deadlines,
      onAbandon: (reason) => this.abandon(reason),
    });
  }

  /** Sends the request with this id, after the messages that must reach the server first. */
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
        bodyTimeout: 0, // a listening stream may be silent for hours; every other request has its deadline
        headersTimeout: deadline ? 0 : null,
      },
      this,
    );
  }

  started(): void {
    this.pending.deadline?.limitSilence('firstByte', this.wire.options.timeouts.firstByte);
  }

  headers(headers: ResponseHeaders, isStream: boolean): void {
    this.isStream = isStream;
    this.failures = 0;
    this.pending.deadline?.limitSilence('idle', this.wire.options.timeouts.idle);
    if (this.pending.request.method === 'initialize') this.wire.session.read(headers);
  }

  received(): void {
    this.pending.deadline?.restartSilence();
  }

  eventId(id: string): void {
    (this.cursor ??= new StreamCursor()).eventId(id);
  }

  retry(ms: number): void {
    (this.cursor ??= new StreamCursor()).retry(ms);
  }

  message(text: string, bytes: number): Promise<void> | void {
    this.cursor?.received();
    return this.wire.read(text, { bytes, call: this, shared: this.resumed });
  }

  /** Settles the call with its answer; `own` if it came on the stream of this call. */
  answer(frame: Pick<ResponseFrame, 'result' | 'error'>, { bytes, own }: { bytes: number; own: boolean }): void {
    this.wire.forget(this.id);
    this.pending.succeed({
      result: frame.result,
      error: frame.error && this.wire.options.redaction.error(frame.error),
      bytes,
    });
    clearTimeout(this.timer);
    if (!own) this.closeStream();
    else if (this.isStream) this.closeStreamLater();
  }

  fail(error: unknown): void {
    this.wire.forget(this.id);
    clearTimeout(this.timer);
    this.pending.fail(error);
  }

  end(error?: Error): void {
    this.closing?.clear();
    if (this.pending.done) return;
    const { server, timeouts } = this.wire.options;
    if (this.mayResume(error)) this.resume(error);
    else if (this.resumed) this.fail(this.notResumed(error));
    else if (error instanceof HttpRejection) this.onRejection(error);
    else if (error) this.fail(transportError(server, error, timeouts));
    else this.fail(unanswered(server, this.pending.request.method));
  }

  /** The server should end the stream after the answer (transports, Sending Messages). If it does not, the gateway closes it. */
  private closeStreamLater(): void {
    const { deadlines } = this.wire.options;
    if (this.exchange?.ended === false)
      this.closing = deadlines.start(BOUNDS.answeredStream, 0, () => this.closeStream());
  }

  private closeStream(): void {
    this.exchange?.abort(new Error('The answer has come.'));
  }

  /** Closing the stream cancels the request at a modern server; a legacy one needs the notification (wire.md, Cancellation). */
  private abandon(reason: string): void {
    this.wire.forget(this.id);
    clearTimeout(this.timer);
    this.exchange?.abort(new GatewayError('cancelled', reason));
    if (this.wire.session.era !== 'legacy' || this.pending.request.method === 'initialize') return;
    this.wire.post(notificationText('notifications/cancelled', { requestId: this.id, reason }), { ahead: true });
  }

  /** A stream with an event id can be resumed, unless the gateway ended it or the server refuses it for good. */
  private mayResume(error: Error | undefined): boolean {
    if (this.cursor?.id === undefined || error instanceof GatewayError) return false;
    if (this.wire.session.era !== 'legacy' && this.pending.request.method !== 'initialize') return false;
    return !(error instanceof HttpRejection) || mayBeTemporary(error.status);
  }

  private resume(error: Error | undefined): void {
    const { cursor } = this;
    if (error && ++this.failures > BOUNDS.resumeFailures) {
      this.fail(this.notResumed(error));
      return;
    }
    this.pending.deadline?.allowSilence();
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

  /** The server refused by status: it has forgotten the session, or the body is the answer, or the refusal is an error of the server. */
  private onRejection(rejection: HttpRejection): void {
    const { server, timeouts } = this.wire.options;
    const { status, answer } = rejection;
    if (this.hadSession && this.wire.session.era === 'legacy' && isSessionUnknown(rejection)) {
      this.fail(new SessionLost(`The server "${server}" no longer knows the session.`));
      return;
    }
    const handshake = HANDSHAKE.includes(this.pending.request.method);
    const isNoAnswer = isInconclusive(status) && (handshake || status < 408); // callers get no error about the gateway's credentials
    if (answer?.error && !isNoAnswer && this.answersThis(rejection)) {
      this.answer({ error: answer.error }, { bytes: rejection.body.length, own: true });
    } else {
      this.fail(handshake ? rejection : transportError(server, rejection, timeouts));
    }
  }

  /** Whether a refusal answers this request. Without an id it may concern the URL: a refused `initialize` may mean HTTP+SSE (transports, Backwards Compatibility). */
  private answersThis({ status, answer }: HttpRejection): boolean {
    if (answer?.id !== undefined) return answer.id === this.id;
    return this.pending.request.method !== 'initialize' && !isInconclusive(status);
  }

  private notResumed(error: Error | undefined): GatewayError {
    const why = error ? ` (${this.wire.options.redaction.text(reasonOf(error))})` : '';
    const message = `The server "${this.wire.options.server}" closed the stream of ${this.pending.request.method} before the answer, and it could not be resumed${why}.`;
    return new GatewayError('upstream_closed', message, { cause: error });
  }
}

/** Whether the server may accept the same stream later. */
function mayBeTemporary(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

function unanswered(server: string, method: string): GatewayError {
  return new GatewayError('upstream_closed', `The server "${server}" ended its answer to ${method} without a result.`);
}
