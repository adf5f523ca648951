// One caller: what a front knows about it, and the messages to it while its request runs: progress, log messages, notifications and questions.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { type LogLevel, META, passesLevel, type ProgressToken } from '../../protocol/mcp/vocabulary.ts';
import { askWithin, cannotAsk, type Exchange, type Question, type QuestionAnswer } from '../../core/exchange.ts';
import { GatewayError } from '../../core/errors.ts';
import { type JsonObject, numberOf } from '../../core/json.ts';
import { notificationText, type RequestId } from '../../protocol/mcp/frames.ts';
import type { OpenQuestions } from './open-requests.ts';

/** Sends one message to a client; returns whether it can still reach the client. */
export type Send = (text: string) => boolean;

export interface ExchangeOptions {
  readonly signal: CancelSignal;
  /** Sends one message to the caller, ahead of the answer. */
  readonly send: Send;
  /** Whether the client reads now; absent if a question may wait until the client reconnects. */
  readonly reachable?: () => boolean;
  readonly progressToken?: ProgressToken | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly capabilities: JsonObject;
  /** The questions of the caller's session; absent if the caller cannot be asked. */
  readonly questions?: OpenQuestions;
  /** The id of the request, which notifications of `subscriptions/listen` carry. */
  readonly subscriptionId?: RequestId;
}

/** The exchange of one request, or that of a session for messages outside any request. */
export class CallerExchange implements Exchange {
  readonly signal: CancelSignal;
  private readonly options: ExchangeOptions;
  private readonly startedAt: number;
  private ended = false;
  /** When the caller last got a progress notification. */
  private progressAt: number;
  private monotonic: MonotonicProgress | undefined;

  constructor(options: ExchangeOptions) {
    this.options = options;
    this.signal = options.signal;
    this.startedAt = this.progressAt = options.progressToken === undefined ? 0 : performance.now();
  }

  get wantsProgress(): boolean {
    return this.options.progressToken !== undefined;
  }

  get progressToken(): ProgressToken | undefined {
    return this.options.progressToken;
  }

  get logLevel(): LogLevel | undefined {
    return this.options.logLevel;
  }

  get capabilities(): JsonObject {
    return this.options.capabilities;
  }

  progress(params: JsonObject): void {
    const { progressToken } = this.options;
    if (progressToken === undefined) return;
    this.progressAt = performance.now();
    this.send('notifications/progress', { ...params, ...this.shown.next(params), progressToken });
  }

  heartbeat(): void {
    const { progressToken } = this.options;
    const now = performance.now();
    if (progressToken === undefined || now - this.progressAt < BOUNDS.progressHeartbeat) return;
    this.progressAt = now;
    const message = `Still working after ${Math.round((now - this.startedAt) / 1_000)} s.`;
    this.send('notifications/progress', { progress: this.shown.more(), message, progressToken });
  }

  log(params: JsonObject): void {
    const { logLevel } = this.options;
    if (logLevel !== undefined && passesLevel(params.level, logLevel)) this.send('notifications/message', params);
  }

  notify(method: string, params: JsonObject): void {
    const { subscriptionId } = this.options;
    if (subscriptionId === undefined) this.send(method, params);
    else {
      const _meta = { ...(params._meta as JsonObject | undefined), [META.subscriptionId]: subscriptionId };
      this.send(method, { ...params, _meta });
    }
  }

  async ask(question: Question): Promise<QuestionAnswer> {
    const { questions } = this.options;
    if (!questions) return cannotAsk(question);
    if (this.ended) throw new GatewayError('cancelled', 'The call that the question belongs to has ended.');
    return askWithin(questions.answeredWithinMs, question, (limited) => {
      // the end of this call would withdraw the questions of its channel
      const channel = limited.ofSeveral ? { ...this.options, signal: limited.signal } : this.options;
      return questions.ask(limited, channel);
    });
  }

  /** The call has ended: sends nothing more, and withdraws the questions that belong to the call. */
  end(): void {
    this.ended = true;
    const { questions } = this.options;
    if (questions !== undefined && questions.size > 0) questions.endOf(this.options);
  }

  /** The progress that the caller was shown; most calls have none. */
  private get shown(): MonotonicProgress {
    return (this.monotonic ??= new MonotonicProgress());
  }

  /** Sends nothing for a cancelled call, whose server may still send notifications (wire.md, Cancellation). */
  private send(method: string, params: JsonObject): void {
    if (!this.ended && !this.signal.aborted) this.options.send(notificationText(method, params));
  }
}

/** An increment that is too small to change how a client shows the server's own numbers. */
const STEP = 1e-6;

/** The progress that the caller gets; each value must be greater than the one before (basic/utilities/progress). */
export class MonotonicProgress {
  /** The last value that the caller got. */
  private reached: number | undefined;
  /** The last value of the server. */
  private received = -Infinity;
  /** What the caller had reached when the server began to count anew. */
  private base = 0;

  /** The `progress` and `total` for the caller. A call may take several rounds, each of which counts from its own beginning. */
  next(params: JsonObject): JsonObject {
    const [progress, total] = [numberOf(params.progress), numberOf(params.total)];
    if (progress !== undefined && progress < this.received) this.base = this.reached ?? 0;
    if (progress !== undefined) this.received = progress;
    const counted = this.base + this.received;
    const rises = Number.isFinite(counted) && (this.reached === undefined || counted > this.reached);
    const next = rises ? (this.reached = counted) : this.more();
    return { progress: next, ...(total !== undefined && { total: this.base + total }) };
  }

  /** A value just above the last one. */
  more(): number {
    const reached = this.reached ?? 0;
    return (this.reached = reached + Math.max(STEP, Math.abs(reached) * 2 * Number.EPSILON));
  }
}
