// The requests that wait for their answers, with the clocks that limit them: one coarse timer for all, so that a request needs none of its own.
import type { Timeouts } from '../../../config/config.ts';
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { GatewayError } from '../../../core/errors.ts';
import type { JsonObject, JsonValue } from '../../../core/json.ts';
import { Slots } from '../../../core/in-flight.ts';
import { type LogLevel, passesLevel, withoutProtocolMeta } from '../../../protocol/mcp/vocabulary.ts';
import { timedOut, type WireOptions, type WireReply, type WireRequest } from './wire.ts';

/** `total` limits the whole request; the others limit silence, and only one of these is in force at a time. */
export type Limit = 'total' | 'firstByte' | 'idle';

/** Receives the limit that was passed, and its length in ms. */
export type OnExpire = (limit: Limit, ms: number) => void;

/** How long a call may last: `totalMs` after its start or its last progress, at most `hardMs` in all. The clock stops while it is held. */
export class CallClock {
  readonly totalMs: number;
  protected endsAt: number;
  private hardEnd: number;
  private holds = 0;
  private heldAt = 0;

  constructor(totalMs: number, hardMs: number) {
    const now = performance.now();
    this.totalMs = totalMs;
    this.endsAt = now + totalMs;
    this.hardEnd = now + Math.max(hardMs, totalMs);
  }

  /** Zero or less when the time is over. */
  get leftMs(): number {
    return this.endsAt - this.now();
  }

  /** Whether the clock is stopped. */
  get isHeld(): boolean {
    return this.holds > 0;
  }

  /** Restarts the total limit after progress; the hard limit stays. */
  extend(): void {
    this.endsAt = Math.min(this.now() + this.totalMs, this.hardEnd);
  }

  /** Stops the clock. It goes on after as many calls of `release` as there were of `hold`. */
  hold(): void {
    if (this.holds++ === 0) this.heldAt = performance.now();
  }

  /** Returns how long the clock was stopped, in ms; 0 if it still is. */
  release(): number {
    if (this.holds === 0 || --this.holds > 0) return 0;
    const heldMs = performance.now() - this.heldAt;
    this.endsAt += heldMs;
    this.hardEnd += heldMs;
    return heldMs;
  }

  /** The current time; while the clock is stopped, the time at which it stopped. */
  protected now(): number {
    return this.isHeld ? this.heldAt : performance.now();
  }
}

/** The limits of one running request: of the whole, and of one silence at a time. */
export class Deadline extends CallClock {
  key = 0;
  private readonly running: Slots<Deadline>;
  private readonly onExpire: OnExpire;
  private silence: 'firstByte' | 'idle' | undefined;
  private silenceMs = 0;
  private silentUntil = Infinity;

  constructor(running: Slots<Deadline>, limits: { totalMs: number; hardMs: number }, onExpire: OnExpire) {
    super(limits.totalMs, limits.hardMs);
    this.running = running;
    this.onExpire = onExpire;
  }

  /** From now on silence may last `ms`. Replaces the silence limit before. */
  limitSilence(limit: 'firstByte' | 'idle', ms: number): void {
    this.silence = limit;
    this.silenceMs = ms;
    this.restartSilence();
  }

  /** Removes the silence limit. */
  allowSilence(): void {
    this.silence = undefined;
    this.silentUntil = Infinity;
  }

  /** Bytes came: the silence begins anew. */
  restartSilence(): void {
    if (this.silence !== undefined) this.silentUntil = this.now() + this.silenceMs;
  }

  override release(): number {
    const heldMs = super.release();
    this.silentUntil += heldMs;
    return heldMs;
  }

  clear(): void {
    this.running.take(this.key);
  }

  /** Ends the request if one of its limits has passed. */
  check(now: number): void {
    if (this.isHeld) return;
    if (Math.min(this.endsAt, this.silentUntil) > now) return;
    this.clear();
    if (this.silence === undefined || this.endsAt < this.silentUntil) this.onExpire('total', this.totalMs);
    else this.onExpire(this.silence, this.silenceMs);
  }
}

/** Checks every deadline that it started; its timer runs only while there is one. */
export class Deadlines {
  private readonly running = new Slots<Deadline>();
  private timer: NodeJS.Timeout | undefined;

  /**
   * Calls `onExpire` once: when `totalMs` have passed without `extend`, after `hardMs` at the latest, or after a silence that is longer than
   * its limit.
   */
  start(totalMs: number, hardMs: number, onExpire: OnExpire): Deadline {
    const deadline = new Deadline(this.running, { totalMs, hardMs }, onExpire);
    deadline.key = this.running.add(deadline);
    this.timer ??= setInterval(() => this.tick(), BOUNDS.deadlineCheck).unref();
    return deadline;
  }

  private tick(): void {
    const now = performance.now();
    for (const deadline of this.running.all()) deadline.check(now);
    if (this.running.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}

const WINDOW_MS = 1_000;

/** Admits up to `limit` messages in the second that begins with the first of them. */
export class RateLimit {
  private readonly limit: number;
  private since = -Infinity;
  private count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  admits(): boolean {
    const now = performance.now();
    if (now - this.since >= WINDOW_MS) {
      this.since = now;
      this.count = 0;
    }
    return ++this.count <= this.limit;
  }
}

export interface PendingOptions extends Pick<WireOptions, 'server' | 'deadlines'> {
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
  /** Monotonic ms. */
  readonly startedAt = performance.now();
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

  /** Whether a caller waits for it: its questions are not with a client that may retry. */
  get isAttended(): boolean {
    return this.request.exchange?.unattendedSince === undefined;
  }

  /** Whether its caller wants log lines of this level. */
  wantsLog(level: JsonValue | undefined): boolean {
    const wanted = this.request.exchange?.logLevel;
    return this.isAttended && wanted !== undefined && passesLevel(level, wanted as LogLevel);
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
