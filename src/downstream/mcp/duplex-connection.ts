// The connection of one client that sends on one channel and receives on another: stdio, or HTTP+SSE.
import { GatewayError } from '../../core/errors.ts';
import { InFlight } from '../../core/in-flight.ts';
import type { JsonValue } from '../../core/json.ts';
import type { Caller, Gateway, MessageFacts } from '../../gateway/gateway.ts';
import { type Frame, readClientFrame, type RequestFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { answerBatch, readBatch } from './batch.ts';
import type { Send } from './exchange.ts';
import { type Answer, refusedAnswer } from './encode.ts';
import { acceptMessage, answerLegacy, handleInitialize } from './legacy.ts';
import type { EndpointLimits } from './limits.ts';
import { answerModern, isModern } from './modern.ts';
import { OpenRequests } from './open-requests.ts';
import { Session } from './session.ts';

export interface DuplexOptions {
  readonly caller: Caller;
  readonly send: Send;
  readonly limits: EndpointLimits;
}

/**
 * Sends all answers on its one channel back. `initialize` begins the one legacy session of the connection, which ends with it; every modern
 * request stands alone (wire.md, Which era is a request).
 */
export class DuplexConnection {
  readonly caller: Caller;
  private readonly gateway: Gateway;
  private readonly send: Send;
  private readonly limits: EndpointLimits;
  private readonly modern = new OpenRequests();
  private readonly running = new InFlight();
  private session: Session | undefined;
  private preparing: Promise<void> | undefined;

  constructor(gateway: Gateway, { caller, send, limits }: DuplexOptions) {
    this.gateway = gateway;
    this.caller = caller;
    this.send = send;
    this.limits = limits;
  }

  /** Accepts a message or a batch, and sends the answers later. Throws `invalid_request` if the value is neither. */
  accept(value: JsonValue, facts: MessageFacts): void {
    if (Array.isArray(value)) this.acceptBatch(value, facts);
    else this.acceptFrame(readClientFrame(value), facts);
  }

  /** Answers a message with an error. */
  refuse(id: RequestId | undefined, thrown: unknown): void {
    const { caller, gateway, session } = this;
    this.send(refusedAnswer(gateway, { id, era: session ? 'legacy' : 'modern', caller }, thrown).text);
  }

  /** Cancels all requests (wire.md, Cancellation and disconnects). Resolves when they have ended, or after `limitMs`. */
  async end(limitMs: number): Promise<void> {
    this.session?.end();
    this.modern.cancelAll();
    await this.running.settled(limitMs);
  }

  private acceptFrame(frame: Frame, facts: MessageFacts): void {
    if (frame.kind === 'request') {
      this.track(this.answer(frame, facts), frame.id);
      return;
    }
    if (frame.kind === 'notification' && frame.method === 'notifications/cancelled')
      this.modern.cancel(frame.params.requestId);
    if (this.session) acceptMessage(frame, this.session);
  }

  private acceptBatch(values: readonly JsonValue[], facts: MessageFacts): void {
    const items = readBatch(this.gateway, values, this.session);
    if (this.session)
      this.track(answerBatch(this.gateway, items, { session: this.session, facts, send: this.send }), undefined);
  }

  private async answer(frame: RequestFrame, facts: MessageFacts): Promise<Answer | undefined> {
    const { gateway, send } = this;
    if (isModern(frame.params)) return this.answerModern(frame, facts);
    if (frame.method === 'initialize') return this.initialize(frame);
    if (this.preparing) await this.preparing; // a client may send more before its session is there
    const { session } = this;
    if (session) return answerLegacy(gateway, frame, { session, facts, send });
    throw new GatewayError(
      'session_required',
      'The first request must be `initialize`, or carry the `_meta` of 2026-07-28.',
    );
  }

  private async answerModern(frame: RequestFrame, facts: MessageFacts): Promise<Answer | undefined> {
    const { gateway, caller, send } = this;
    const { signal } = this.modern.begin(frame.id);
    try {
      return await answerModern(gateway, frame, { caller, facts, signal, send });
    } finally {
      this.modern.finish(frame.id);
    }
  }

  private initialize(frame: RequestFrame): Answer | Promise<Answer> {
    const preparing = this.gateway.prepare(this.caller.endpoint, 'legacy');
    if (!preparing) return this.openSession(frame);
    const opening = preparing.then(() => this.openSession(frame));
    this.preparing ??= opening.then(
      () => undefined,
      () => undefined,
    );
    return opening;
  }

  private openSession(frame: RequestFrame): Answer {
    if (this.session) throw new GatewayError('invalid_request', 'The session is initialized already.');
    const { options, answer } = handleInitialize(this.gateway, frame, this.caller);
    this.session = new Session({ ...options, limits: this.limits });
    this.session.addStream({ send: this.send, end: () => undefined, connected: true }); // the stream ends with the connection
    return answer;
  }

  private track(answering: Promise<Answer | undefined>, id: RequestId | undefined): void {
    const sent = answering.then(
      (answer) => {
        if (answer) this.send(answer.text);
      },
      (thrown: unknown) => this.refuse(id, thrown),
    );
    void this.running.track(sent); // never rejects
  }
}
