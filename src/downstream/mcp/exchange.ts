// The way back to one caller: its own progress token, its log level, its subscription id, its questions.
import type { CancelSignal } from '../../core/cancellation.ts';
import { askWithin, cannotAsk, type Exchange, type Question, type QuestionAnswer } from '../../core/exchange.ts';
import { GatewayError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { notificationText, type RequestId } from '../../protocol/mcp/frames.ts';
import { type LogLevel, META, passesLevel, type ProgressToken } from '../../protocol/mcp/meta.ts';
import type { OpenQuestions } from './open-questions.ts';
import { MonotonicProgress } from './monotonic-progress.ts';

/** Silence that is too long for some clients, which then give up their calls: the strictest of them waits for a minute. */
const SILENT_MS = 25_000;

/** Sends one message to a client; tells whether it can still reach it. */
export type Send = (text: string) => boolean;

export interface ExchangeOptions {
  readonly signal: CancelSignal;
  /** Sends one message to the caller, ahead of the answer. */
  readonly send: Send;
  /** Whether a question would be read now; absent where one may wait for a client that comes back. */
  readonly reachable?: () => boolean;
  readonly progressToken?: ProgressToken | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly capabilities: JsonObject;
  /** The questions of the caller's session; absent where it cannot be asked. */
  readonly questions?: OpenQuestions;
  /** The id of the request, where it is what notifications carry: `subscriptions/listen`. */
  readonly subscriptionId?: RequestId;
}

/** The exchange of one request, or the one that stands as long as its session. */
export class CallerExchange implements Exchange {
  readonly signal: CancelSignal;
  private readonly options: ExchangeOptions;
  private readonly startedAt: number;
  private over = false;
  private heardAt: number;
  private readonly steps = new MonotonicProgress();

  constructor(options: ExchangeOptions) {
    this.options = options;
    this.signal = options.signal;
    this.startedAt = this.heardAt = options.progressToken === undefined ? 0 : performance.now();
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
    this.heardAt = performance.now();
    this.send('notifications/progress', { ...params, ...this.steps.next(params), progressToken });
  }

  heartbeat(): void {
    const { progressToken } = this.options;
    const now = performance.now();
    if (progressToken === undefined || now - this.heardAt < SILENT_MS) return;
    this.heardAt = now;
    const message = `Still working after ${Math.round((now - this.startedAt) / 1_000)} s.`;
    this.send('notifications/progress', { progress: this.steps.more(), message, progressToken });
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
    if (this.over) throw new GatewayError('cancelled', 'The call that the question belongs to has ended.');
    return askWithin(questions.answeredWithinMs, question, (limited) => questions.ask(limited, this.options));
  }

  /** The call has ended: nothing more may be sent, and what was asked on its behalf is withdrawn. */
  end(): void {
    this.over = true;
    const { questions } = this.options;
    if (questions !== undefined && questions.size > 0) questions.endOf(this.options);
  }

  /** Nothing is sent for a cancelled call, though its server may go on talking (wire.md, Cancellation). */
  private send(method: string, params: JsonObject): void {
    if (!this.over && !this.signal.aborted) this.options.send(notificationText(method, params));
  }
}
