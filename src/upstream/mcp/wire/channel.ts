// One JSON-RPC channel that all calls to a server share, with ids and progress tokens of the gateway.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { Slots } from '../../../core/in-flight.ts';
import { type Frame, notificationText, requestText, type ResponseFrame } from '../../../protocol/mcp/frames.ts';
import type { DroppedLine } from '../../../protocol/mcp/line-splitter.ts';
import { BrokenAnswer, readServerMessage } from '../../../protocol/mcp/strict-json.ts';
import { readDroppedLine } from './dropped-answer.ts';
import { InboundRouter } from './inbound-router.ts';
import { hungError, Liveness } from './liveness.ts';
import { Pending, RateLimit, type Silence } from './pending.ts';
import { closed, tooLarge, tooManyRequests, type WireOptions, type WireReply, type WireRequest } from './wire.ts';

export interface ChannelOptions extends Pick<
  WireOptions,
  'server' | 'maxItems' | 'deadlines' | 'redaction' | 'events'
> {
  /** Where its messages come from, for diagnostics: `stdout`, `the stream`. */
  readonly source: string;
  /** How long a server may take to answer the ping after a request timed out, in ms. */
  readonly aliveMs: number;
  /** How long a request may be silent; absent if only its total limit counts. */
  readonly silence?: Silence;
  /** How long a legacy server may leave a ping unanswered during a call, in ms; absent if the gateway does not ping it. */
  readonly pingMs?: number | undefined;
  /** The server ended before it answered its first ping: it may end on every request that it does not know. */
  endedUnpinged?(): void;
  /** Sends one message. Throws, or rejects, if it cannot be sent. */
  send(text: string): Promise<void> | undefined;
  /** Ends a server that does not work. The channel is lost already. */
  giveUp(): void;
}

/** Requests of the gateway whose only limit is their total. */
const WITHOUT_SILENCE_LIMIT = ['initialize', 'server/discover', 'ping'];

/** Matches answers to requests, and passes everything else to the inbound router. */
export class Channel {
  private readonly options: ChannelOptions;
  private readonly pending = new Slots<Pending>();
  private readonly inbound: InboundRouter;
  /** Unreadable messages since the last readable one. */
  private unreadable = 0;
  private readonly unreadableRate = new RateLimit(BOUNDS.unreadableInSecond);
  /** Why the channel was lost. */
  private lostBecause: string | undefined;
  private closing = false;
  /** The handshake is done, so calls may be in flight. */
  private adopted = false;
  private liveness: Liveness | undefined;
  /** Messages that came, of whatever kind. */
  private received = 0;
  private isPinging = false;

  constructor(options: ChannelOptions) {
    this.options = options;
    this.inbound = new InboundRouter({
      events: options.events,
      pending: () => this.pending.all(),
      find: (id) => this.pending.get(id),
      send: (text, failed) => this.post(text, 'an answer', failed),
    });
  }

  request(request: WireRequest): Promise<WireReply> {
    const refusal = this.refusal();
    if (refusal) return Promise.reject(refusal);
    let id = 0;
    const pending: Pending = new Pending(request, {
      server: this.options.server,
      deadlines: this.options.deadlines,
      silence: WITHOUT_SILENCE_LIMIT.includes(request.method) ? undefined : this.options.silence,
      onAbandon: (reason) => this.abandon(id, reason),
    });
    if (pending.done) return pending.promise; // cancelled before it was sent
    id = this.pending.add(pending);
    this.send(requestText(id, request.method, pending.paramsFor(id)), (error) => this.fail(id, error));
    return pending.promise;
  }

  async notify(method: string, params: JsonObject): Promise<void> {
    if (this.lostBecause !== undefined) return;
    await this.options.send(notificationText(method, params));
    // some servers accept no request before this notification, not even a ping
    if (method === 'notifications/initialized') void this.liveness?.begin();
  }

  adopt(era: 'legacy' | 'modern'): void {
    this.adopted = true;
    this.inbound.adopt(era);
    const { pingMs } = this.options;
    if (era !== 'legacy' || pingMs === undefined) return; // 2026-07-28 has no ping
    this.liveness = new Liveness({
      pingMs,
      received: () => this.received,
      pending: () => this.pending.all(),
      ping: (totalMs) => this.request({ method: 'ping', params: {}, totalMs }),
      hung: () => {
        const error = hungError(this.options.server, pingMs);
        this.giveUp(error.message, { error, detail: error.detail });
      },
    });
  }

  /** Reads one message of the server; returns a promise if that takes several turns of the event loop. Never throws, never rejects. */
  receive(text: string): Promise<void> | void {
    if (this.lostBecause !== undefined) return;
    this.received++;
    try {
      const frame = readServerMessage(text, this.options);
      if (!(frame instanceof Promise)) this.accept(frame, text);
      else
        return frame.then(
          (read) => this.accept(read, text),
          (error: unknown) => this.onUnreadable(text, error),
        );
    } catch (error) {
      this.onUnreadable(text, error);
    }
  }

  /** A message over the limit fails the call that it answers; it fails all calls only if it does not show which one. */
  dropped(line: DroppedLine, limit: number): void {
    const { bytes, maxLines } = line;
    const over = maxLines === undefined ? { maxBytes: limit } : { maxLines };
    const error = tooLarge(this.options.server, { ...over, dropped: bytes });
    const found = readDroppedLine(line);
    if (found.kind === 'answer' && this.pending.get(found.id) !== undefined) this.fail(found.id, error);
    else if (found.kind === 'unknown') this.failAll(error);
    else this.inbound.diagnostic(error.message);
    if (!line.ended) this.giveUp(`it wrote a line of more than ${line.bytes} bytes without an end`);
  }

  /** Takes no requests any more and cancels those in flight, so that the server is notified before the channel closes. */
  close(reason: GatewayError): void {
    this.closing = true;
    this.liveness?.close();
    for (const pending of this.pending.all()) pending.abandon(reason);
  }

  /** The channel is lost: fails every pending request, with `error` if there is one, else with the reason. `detail` is for the operator alone. */
  lose(reason: string, { error, detail }: { error?: GatewayError; detail?: string | undefined } = {}): void {
    if (this.lostBecause !== undefined) return;
    this.lostBecause = reason;
    if (this.liveness?.endsOnFirstPing === true && !this.closing) this.options.endedUnpinged?.();
    this.liveness?.close();
    const { server, events } = this.options;
    const when = this.adopted ? 'during the call' : 'before it was ready';
    this.failAll(
      error ?? new GatewayError('upstream_closed', `The server "${server}" went away ${when}: ${reason}`, { detail }),
    );
    this.inbound.close();
    events.closed(reason, detail);
  }

  /** The error of a request that cannot be sent now. */
  private refusal(): GatewayError | undefined {
    const { server } = this.options;
    if (this.lostBecause !== undefined)
      return new GatewayError('upstream_closed', `The server "${server}" is gone: ${this.lostBecause}`);
    if (this.closing) return closed(server);
    return this.pending.size < BOUNDS.upstreamRequests ? undefined : tooManyRequests(server);
  }

  /** Cancels a request by notification (2026-07-28 stdio, Cancellation; legacy the same). `initialize` must not be cancelled. */
  private abandon(id: number, reason: string): void {
    const request = this.pending.take(id)?.request;
    if (!request || request.method === 'initialize') return;
    this.post(notificationText('notifications/cancelled', { requestId: id, reason }), 'a cancellation');
    // after a time-out of the gateway's own request, its sender decides what follows
    if (request.exchange && !request.exchange.signal.aborted) void this.pingAfterTimeout();
  }

  /**
   * Pings the server after a call timed out (basic/utilities/ping). If the process hangs, or the other end of the stream is gone, every later
   * call would time out too. Any message of the server counts as an answer.
   */
  private async pingAfterTimeout(): Promise<void> {
    if (this.isPinging || this.closing || this.lostBecause !== undefined) return;
    this.isPinging = true;
    const { received } = this;
    await this.request({ method: 'ping', params: {}, totalMs: this.options.aliveMs }).catch(() => undefined);
    this.isPinging = false;
    // a server that waits for a client's answer may send nothing else (wire.md, Questions 5)
    const waits = this.pending.all().some(({ deadline }) => deadline?.isHeld === true);
    if (this.received === received && !waits) this.giveUp('it no longer answers, nor says anything else');
  }

  /** Sends a message that has no answer; calls `failed` if it cannot be delivered. */
  private post(text: string, what: string, failed?: (error: unknown) => void): void {
    if (this.lostBecause !== undefined) return;
    this.send(text, (error) => {
      this.inbound.diagnostic(`${what} could not be delivered: ${reasonOf(error)}`);
      failed?.(error);
    });
  }

  private send(text: string, failed: (error: unknown) => void): void {
    try {
      this.options.send(text)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  private accept(frame: Frame, text: string): void {
    if (this.lostBecause !== undefined) return;
    this.unreadable = 0;
    if (frame.kind === 'response') this.onResponse(frame, Buffer.byteLength(text));
    else this.inbound.accept(frame);
  }

  private onResponse(frame: ResponseFrame, bytes: number): void {
    const pending = typeof frame.id === 'number' ? this.pending.take(frame.id) : undefined;
    const { result, error } = frame;
    if (pending) this.inbound.answered(pending);
    pending?.succeed({
      ...(result && { result }),
      ...(error && { error: this.options.redaction.error(error) }),
      bytes,
    });
    if (!pending) this.inbound.diagnostic('an answer to a request that was not asked, or was given up');
  }

  private onUnreadable(text: string, error: unknown): void {
    if (this.lostBecause !== undefined) return;
    const { source, redaction } = this.options;
    this.unreadable++;
    this.inbound.diagnostic(`${source} is not MCP (${reasonOf(error)}): ${text.slice(0, BOUNDS.quotedValue)}`);
    if (error instanceof BrokenAnswer) this.fail(error.id, new GatewayError(error.code, redaction.text(error.message)));
    if (this.unreadable >= BOUNDS.unreadableInRow)
      this.giveUp(`it wrote ${BOUNDS.unreadableInRow} lines in a row that are not MCP`);
    else if (!this.unreadableRate.admits())
      this.giveUp(`it wrote more than ${BOUNDS.unreadableInSecond} lines in a second that are not MCP`);
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
