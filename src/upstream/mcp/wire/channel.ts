// One JSON-RPC channel that every caller of a server shares: ids and progress tokens are the gateway's own.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Slots } from '../../../core/slots.ts';
import { type Frame, notificationText, requestText, type ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { DroppedLine } from '../../../protocol/mcp/line-splitter.ts';
import type { Redaction } from '../redaction.ts';
import { type Deadlines, takenForHung } from './deadlines.ts';
import { readDroppedLine } from './dropped-answer.ts';
import { BrokenAnswer, readInbound } from './inbound.ts';
import { Liveness } from './liveness.ts';
import { Pending, type Silence } from './pending.ts';
import { RateLimit } from './rate-limit.ts';
import { InboundRouter } from './inbound-router.ts';
import { closed, tooLarge, type WireEvents, type WireReply, type WireRequest } from './wire.ts';

export interface ChannelOptions {
  readonly server: string;
  readonly maxItems: number;
  readonly deadlines: Deadlines;
  readonly redaction: Redaction;
  readonly events: WireEvents;
  /** What its messages come on, for the log: `stdout`, `the stream`. */
  readonly source: string;
  /** How long a server that let a request run out may take to show that it is there at all, in milliseconds. */
  readonly aliveMs: number;
  /** How long a request may be silent; absent where only its total counts. */
  readonly silence?: Silence;
  /** How long a legacy server may leave a ping unanswered during a call, in ms; absent where it is not asked. */
  readonly pingMs?: number | undefined;
  /** It ended before it answered its first ping: it may be one that ends on what it does not know. */
  endedUnpinged?(): void;
  /** Sends one message; throws, or rejects, where it cannot be sent. */
  send(text: string): Promise<void> | undefined;
  /** Ends a server that cannot be talked with. The channel is lost already. */
  giveUp(): void;
}

/** Requests with limits of their own. */
const UNLIMITED = ['initialize', 'server/discover', 'ping'];

/** The requests that wait on a channel, and everything that comes from it. */
export class Channel {
  private readonly options: ChannelOptions;
  private readonly pending = new Slots<Pending>();
  private readonly unasked: InboundRouter;
  private garbage = 0;
  private readonly garbageRate = new RateLimit(BOUNDS.unreadableInSecond);
  private gone: string | undefined;
  private closing = false;
  /** It has said which era it speaks: calls can be under way. */
  private adopted = false;
  private liveness: Liveness | undefined;
  /** Messages that came, of whatever kind. */
  private heard = 0;
  private asking = false;

  constructor(options: ChannelOptions) {
    this.options = options;
    this.unasked = new InboundRouter({
      events: options.events,
      pending: () => this.pending.all(),
      find: (id) => this.pending.get(id),
      send: (text, failed) => this.tell(text, 'an answer', failed),
    });
  }

  request(request: WireRequest): Promise<WireReply> {
    const refusal = this.refusal();
    if (refusal) return Promise.reject(refusal);
    let id = 0;
    const pending: Pending = new Pending(request, {
      server: this.options.server,
      deadlines: this.options.deadlines,
      silence: UNLIMITED.includes(request.method) ? undefined : this.options.silence,
      onAbandon: (reason) => this.abandon(id, reason),
    });
    if (pending.done) return pending.promise; // cancelled before it was sent
    id = this.pending.add(pending);
    try {
      this.options
        .send(requestText(id, request.method, pending.paramsFor(id)))
        ?.catch((error: unknown) => this.fail(id, error));
    } catch (error) {
      this.fail(id, error);
    }
    return pending.promise;
  }

  async notify(method: string, params: JsonObject): Promise<void> {
    if (this.gone !== undefined) return;
    await this.options.send(notificationText(method, params));
    // some servers take no request before it, not even a ping
    if (method === 'notifications/initialized') void this.liveness?.begin();
  }

  adopt(era: 'legacy' | 'modern'): void {
    this.adopted = true;
    this.unasked.adopt(era);
    // 2026-07-28 has no ping
    if (era === 'legacy' && this.options.pingMs !== undefined) this.liveness = this.watch(this.options.pingMs);
  }

  /** Takes one message of the server; a promise where that takes several turns of the event loop. Never throws, never rejects. */
  receive(text: string): Promise<void> | void {
    if (this.gone !== undefined) return;
    this.heard++;
    try {
      const frame = readInbound(text, this.options);
      if (!(frame instanceof Promise)) this.accept(frame, text);
      else
        return frame.then(
          (read) => this.accept(read, text),
          (error: unknown) => this.onGarbage(text, error),
        );
    } catch (error) {
      this.onGarbage(text, error);
    }
  }

  /** A message over the limit harms the call that it answered; all of them only where it cannot be known which. */
  dropped(line: DroppedLine, limit: number): void {
    const { bytes, maxLines } = line;
    const over = maxLines === undefined ? { maxBytes: limit } : { maxLines };
    const error = tooLarge(this.options.server, { ...over, dropped: bytes });
    const found = readDroppedLine(line);
    if (found.kind === 'answer' && this.pending.get(found.id) !== undefined) this.fail(found.id, error);
    else if (found.kind === 'unknown') this.failAll(error);
    else this.unasked.noise(error.message);
    if (!line.ended) this.giveUp(`it wrote a line of more than ${line.bytes} bytes without an end`);
  }

  /** Takes no requests any more, and cancels those in flight, so that the server hears of it before the channel is closed. */
  close(reason: GatewayError): void {
    this.closing = true;
    this.liveness?.close();
    for (const pending of this.pending.all()) pending.abandon(reason);
  }

  /** The channel is gone: whatever waits on it fails, with `error` where something says more than the reason; `detail` is the operator's. */
  lose(reason: string, { error, detail }: { error?: GatewayError; detail?: string | undefined } = {}): void {
    if (this.gone !== undefined) return;
    this.gone = reason;
    if (this.liveness?.endsOnFirst === true && !this.closing) this.options.endedUnpinged?.();
    this.liveness?.close();
    const { server, events } = this.options;
    const when = this.adopted ? 'during the call' : 'before it was ready';
    this.failAll(
      error ?? new GatewayError('upstream_closed', `The server "${server}" went away ${when}: ${reason}`, { detail }),
    );
    this.unasked.close();
    events.closed(reason, detail);
  }

  /** Why no request can be sent now. */
  private refusal(): GatewayError | undefined {
    const { server } = this.options;
    if (this.gone !== undefined)
      return new GatewayError('upstream_closed', `The server "${server}" is gone: ${this.gone}`);
    if (this.closing) return closed(server);
    if (this.pending.size < BOUNDS.upstreamRequests) return undefined;
    const message = `The server "${server}" has ${BOUNDS.upstreamRequests} requests in flight; try again shortly.`;
    return new GatewayError('overloaded', message);
  }

  /** Cancels by notification (2026-07-28 stdio, Cancellation; legacy the same). `initialize` may never be cancelled. */
  private abandon(id: number, reason: string): void {
    const request = this.pending.take(id)?.request;
    if (!request || request.method === 'initialize') return;
    this.tell(notificationText('notifications/cancelled', { requestId: id, reason }), 'a cancellation');
    // what the gateway asks itself is looked after where it is asked
    if (request.exchange && !request.exchange.signal.aborted) void this.askForLife();
  }

  /**
   * A request ran out: asks whether anybody is there (basic/utilities/ping). A process that hangs, or a stream whose other end is gone
   * without a word, would let every call after this one run out too. Any message is a sign of life.
   */
  private async askForLife(): Promise<void> {
    if (this.asking || this.closing || this.gone !== undefined) return;
    this.asking = true;
    const { heard } = this;
    await this.request({ method: 'ping', params: {}, totalMs: this.options.aliveMs }).catch(() => undefined);
    this.asking = false;
    // one that waits for a client's answer may say nothing else (wire.md, Questions 5)
    const waits = this.pending.all().some(({ deadline }) => deadline?.isHeld === true);
    if (this.heard === heard && !waits) this.giveUp('it no longer answers, nor says anything else');
  }

  /** Sends what has no answer; `failed` is told of what cannot be delivered, for whoever waits for its effect. */
  private tell(text: string, what: string, failed?: (error: unknown) => void): void {
    if (this.gone !== undefined) return;
    const onFailure = (error: unknown) => {
      this.unasked.noise(`${what} could not be delivered: ${reasonOf(error)}`);
      failed?.(error);
    };
    try {
      this.options.send(text)?.catch(onFailure);
    } catch (error) {
      onFailure(error);
    }
  }

  private accept(frame: Frame, text: string): void {
    if (this.gone !== undefined) return;
    this.garbage = 0;
    if (frame.kind === 'response') this.onResponse(frame, Buffer.byteLength(text));
    else this.unasked.accept(frame);
  }

  private onResponse(frame: ResponseFrame, bytes: number): void {
    const pending = typeof frame.id === 'number' ? this.pending.take(frame.id) : undefined;
    if (!pending) {
      this.unasked.noise('an answer to a request that was not asked, or was given up');
      return;
    }
    pending.succeed({
      ...(frame.result && { result: frame.result }),
      ...(frame.error && { error: this.options.redaction.error(frame.error) }),
      bytes,
    });
  }

  private onGarbage(text: string, error: unknown): void {
    if (this.gone !== undefined) return;
    const { source, redaction } = this.options;
    this.garbage++;
    this.unasked.noise(`${source} is not MCP (${reasonOf(error)}): ${text.slice(0, BOUNDS.quotedValue)}`);
    if (error instanceof BrokenAnswer) this.fail(error.id, new GatewayError(error.code, redaction.text(error.message)));
    if (this.garbage >= BOUNDS.unreadableInRow)
      this.giveUp(`it wrote ${BOUNDS.unreadableInRow} lines in a row that are not MCP`);
    else if (!this.garbageRate.admits())
      this.giveUp(`it wrote more than ${BOUNDS.unreadableInSecond} lines in a second that are not MCP`);
  }

  private watch(pingMs: number): Liveness {
    return new Liveness({
      pingMs,
      heard: () => this.heard,
      pending: () => this.pending.all(),
      ping: (totalMs) => this.request({ method: 'ping', params: {}, totalMs }),
      hung: () => {
        const error = takenForHung(this.options.server, pingMs);
        this.giveUp(error.message, { error, detail: error.detail });
      },
    });
  }

  private giveUp(reason: string, more: Parameters<Channel['lose']>[1] = {}): void {
    this.lose(reason, more);
    this.options.giveUp();
  }

  private fail(id: number, error: unknown): void {
    this.pending.take(id)?.fail(error);
  }

  private failAll(error: GatewayError): void {
    for (const pending of this.pending.clear()) pending.fail(error);
  }
}
