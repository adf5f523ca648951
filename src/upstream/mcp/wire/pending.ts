// One request that waits for its answer: settled exactly once, by the answer, the caller, the clock or the channel.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { JsonObject } from '../../../core/json.ts';
import { withoutProtocolMeta } from '../../../protocol/mcp/meta.ts';
import { type Deadline, type Deadlines, type Limit, timedOut } from './deadlines.ts';
import type { Timeouts, WireReply, WireRequest } from './wire.ts';
import { RateLimit } from './rate-limit.ts';

export interface PendingOptions {
  readonly server: string;
  readonly deadlines: Deadlines;
  /** How long it may be silent, in ms; absent if the transport limits that itself. */
  readonly silence?: Silence | undefined;
  /** Cancels the request at the server, after the caller, the clock or the closing channel ended it. */
  onAbandon(reason: string): void;
}

/** The longest silence of a request: before the first message about it, and after each; `Infinity` if only its total limit counts. */
export type Silence = Pick<Timeouts, 'firstByte' | 'idle'>;

export class Pending {
  readonly promise: Promise<WireReply>;
  readonly request: WireRequest;
  /** The clocks of the request; absent on a stream that stays open. */
  readonly deadline: Deadline | undefined;
  private readonly options: PendingOptions;
  private resolve!: (reply: WireReply) => void;
  private reject!: (error: unknown) => void;
  private settled = false;
  private endListeners: Set<() => void> | undefined;
  private rate: RateLimit | undefined;

  constructor(request: WireRequest, options: PendingOptions) {
    this.request = request;
    this.options = options;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    if (Number.isFinite(request.totalMs)) {
      this.deadline = options.deadlines.start(request.totalMs, BOUNDS.callDuration, (limit, ms) =>
        this.abandon(timedOut(options.server, { limit: nameOf(limit, request), ms, method: request.method })),
      );
      if (options.silence) this.deadline.limitSilence('firstByte', options.silence.firstByte);
    }
    const signal = request.exchange?.signal;
    if (signal?.aborted === true) this.fail(new GatewayError('cancelled', 'The caller cancelled the call.'));
    else if (signal) {
      // the listener is never removed, since the signal belongs to this call alone
      signal.onAbort(() => this.abandon(new GatewayError('cancelled', 'The caller cancelled the call.')));
    }
  }

  get done(): boolean {
    return this.settled;
  }

  /**
   * Whether a message that names no request may belong to this one. It may not belong to the gateway's own requests and listeners, and a message
   * about a task names the task (2025-11-25 basic/utilities/tasks, Related Task Metadata).
   */
  get isCall(): boolean {
    const { exchange, method, task } = this.request;
    return exchange !== undefined && method !== 'subscriptions/listen' && task === undefined;
  }

  /** The params to send, with the wire's own progress token if the caller wants progress. */
  paramsFor(token: number): JsonObject {
    const { params, exchange } = this.request;
    if (!exchange?.wantsProgress) return params;
    return { ...params, _meta: { ...(params._meta as JsonObject | undefined), progressToken: token } };
  }

  succeed(reply: WireReply): void {
    if (this.settle()) this.resolve(reply);
  }

  /** Returns whether this ended the request. */
  fail(error: unknown): boolean {
    const first = this.settle();
    if (first) this.reject(error);
    return first;
  }

  /** Ends the request before its answer, and cancels it at the server. */
  abandon(error: GatewayError): void {
    if (this.fail(error)) this.options.onAbandon(error.message);
  }

  /** Calls the listener when the request ends, however it ends. Returns the function that removes the listener. */
  onEnd(listener: () => void): () => void {
    const listeners = (this.endListeners ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The server works on the request: the silence begins anew. */
  signOfLife(): void {
    const { silence } = this.options;
    if (silence) this.deadline?.limitSilence('idle', silence.idle);
  }

  /** Passes progress on to the caller, and restarts the total limit. Returns false if there was too much. */
  progress(params: JsonObject): boolean {
    if (this.settled) return true;
    this.signOfLife();
    this.deadline?.extend();
    if (!this.admits()) return false;
    const { progressToken: _token, ...progress } = params;
    this.request.exchange?.progress(withoutProtocolMeta(progress));
    return true;
  }

  /** Passes a log line on to the caller. Returns false if there were too many. */
  log(params: JsonObject): boolean {
    if (this.settled) return true;
    this.signOfLife();
    if (!this.admits()) return false;
    this.request.exchange?.log(params);
    return true;
  }

  /** Passes on any other notification of the request. */
  notify(method: string, params: JsonObject): void {
    if (!this.settled) this.request.onNotification?.(method, params);
  }

  private admits(): boolean {
    return (this.rate ??= new RateLimit(BOUNDS.callNotifications)).admits();
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.deadline?.clear();
    const listeners = this.endListeners;
    this.endListeners = undefined;
    if (listeners) for (const listener of listeners) listener();
    return true;
  }
}

/** The setting that a limit comes from. */
function nameOf(limit: Limit, { starts }: WireRequest): Limit | 'start' {
  return limit === 'total' && starts === true ? 'start' : limit;
}
