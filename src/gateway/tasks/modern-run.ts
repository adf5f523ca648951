// Polls the task that a modern server made of a legacy client's call, in the place of that client: its call gets the result (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { Cancellation, pause } from '../../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Exchange, QuestionAnswer } from '../../core/exchange.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { CallClock } from '../../upstream/mcp/wire/pending.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import type { Destination } from '../upstream-request.ts';
import { isLoss, isTransient, isUnknown, taskCreatedBy, type UpstreamTask } from './upstream-task.ts';

export interface RunModernOptions {
  readonly exchange: Exchange;
  readonly to: Destination;
  readonly questions: LiveQuestions;
}

/**
 * Polls the task that a modern server made of a call until it ends, and returns its result or error. Throws `cancelled` where the caller
 * cancels, `upstream_timed_out` where the task does not change for `timeouts.total`, and the last of several failures of the server in a row;
 * it then cancels the task unless that has ended.
 */
export async function runModernTask(answered: UpstreamReply, options: RunModernOptions): Promise<UpstreamReply> {
  const { upstream } = options.to;
  const task = taskCreatedBy(upstream, answered);
  const last = await new ModernRun(task, options).run(answered);
  const { result, error, bytes } = last.reply;
  return error ? last : { ...last, reply: { ...resultOf(result ?? {}, upstream.config.name), bytes } };
}

/** What ends the call after a question: the error that the client answered with, or a failure. */
type Refusal = { readonly error: RpcError } | { readonly failure: unknown };

class ModernRun {
  private readonly task: UpstreamTask;
  private readonly server: string;
  private readonly exchange: Exchange;
  private readonly questions: LiveQuestions;
  private readonly clock: CallClock;
  /** Aborted when the caller cancels, a question ends the call, or the task has ended. */
  private readonly over = new Cancellation();
  /** Keys of all questions that the client was asked: the server may still list a question until it has processed the answer. */
  private readonly asked = new Set<string>();
  private readonly open = new Map<string, Cancellation>();
  private refusal: Refusal | undefined;
  private pollMs: number = BOUNDS.taskPollDefault;
  private latest = '';
  private steps = 0;

  constructor(task: UpstreamTask, { exchange, to, questions }: RunModernOptions) {
    this.task = task;
    this.server = to.target.server;
    this.exchange = exchange;
    this.questions = questions;
    this.clock = new CallClock(task.totalMs, BOUNDS.callDuration);
  }

  /** The last description of the task, or the error that ends the call. */
  async run(created: UpstreamReply): Promise<UpstreamReply> {
    const unsubscribe = this.exchange.signal.onAbort(() => this.over.abort());
    try {
      return await this.poll(created);
    } catch (failure) {
      void this.task.cancel();
      const { refusal } = this;
      if (!refusal) throw failure;
      if ('failure' in refusal) throw refusal.failure;
      return { ...created, reply: { error: refusal.error, bytes: created.reply.bytes } };
    } finally {
      unsubscribe();
      this.over.abort();
      for (const question of this.open.values()) question.abort();
    }
  }

  private async poll(created: UpstreamReply): Promise<UpstreamReply> {
    let answered = created;
    for (;;) {
      const { result = {}, error } = answered.reply;
      if (error && !isUnknown({ error })) void this.task.cancel();
      if (error || isTerminal(result.status)) return answered;
      this.accept(result);
      this.askNew(isObject(result.inputRequests) ? result.inputRequests : {});
      await this.pauseUntilPoll();
      answered = await this.retry(() => this.task.get());
    }
  }

  /** Takes the latest state of the task. A change counts as progress: it extends the clock, and the caller is notified. */
  private accept({ pollIntervalMs, status, statusMessage, lastUpdatedAt }: JsonObject): void {
    const wanted = numberOf(pollIntervalMs) ?? BOUNDS.taskPollDefault;
    this.pollMs = Math.min(Math.max(wanted, BOUNDS.taskPollLeast), BOUNDS.taskPollMost);
    const latest = JSON.stringify([status, statusMessage, lastUpdatedAt]);
    if (latest === this.latest) return;
    this.latest = latest;
    this.clock.extend();
    const message =
      typeof statusMessage === 'string' ? { message: statusMessage.slice(0, BOUNDS.taskProgressMessage) } : {};
    this.exchange.progress({ progress: ++this.steps, ...message });
  }

  /** Waits until the next poll. Throws `upstream_timed_out` where the time of the task is over. */
  private async pauseUntilPoll(): Promise<void> {
    if (this.clock.leftMs <= 0)
      throw new GatewayError(
        'upstream_timed_out',
        `The server "${this.server}" made a task of the call, and the task did not end within its time (timeouts.total).`,
      );
    await pause(this.pollMs, this.over);
  }

  /** Sends a request about the task, and repeats it after a failure, since the task may still run. The error for an unknown task is not a failure. */
  private async retry(ask: () => Promise<UpstreamReply>): Promise<UpstreamReply> {
    let last: GatewayError | undefined;
    for (let failures = 0; ; failures++) {
      try {
        const answered = await ask();
        const { reply } = answered;
        if (!reply.error || isUnknown(reply) || failures >= BOUNDS.taskRequestFailures) return answered;
      } catch (failure) {
        if (isLoss(failure)) throw last ?? this.lost();
        if (failures >= BOUNDS.taskRequestFailures || !isTransient(failure)) throw failure;
        last = toGatewayError(failure);
      }
      await this.pauseUntilPoll();
    }
  }

  /** The error of a lost task: its caller does not know that there was a task, but that the server went away. */
  private lost(): GatewayError {
    return new GatewayError(
      'upstream_closed',
      `The server "${this.server}" went away while it worked on the task that it made of the call.`,
    );
  }

  /** Asks the client the new questions, and withdraws those that the server no longer lists. Throws `upstream_protocol` where there are too many. */
  private askNew(inputRequests: JsonObject): void {
    for (const [key, question] of this.open) if (!Object.hasOwn(inputRequests, key)) question.abort();
    for (const [key, request] of Object.entries(inputRequests)) {
      if (this.asked.has(key)) continue;
      if (this.asked.size >= BOUNDS.taskQuestions)
        throw new GatewayError(
          'upstream_protocol',
          `The server "${this.server}" asked more than ${BOUNDS.taskQuestions} questions in one task.`,
        );
      this.asked.add(key);
      void this.ask(key, request);
    }
  }

  private async ask(key: string, request: unknown): Promise<void> {
    const withdrawn = new Cancellation();
    this.open.set(key, withdrawn);
    try {
      const answer = await askHeld(this.clock, () => this.questions.put(request, withdrawn));
      this.open.delete(key);
      if ('error' in answer) this.refuse(answer);
      else await this.update({ [key]: answer.result });
    } catch (failure) {
      if (!withdrawn.aborted) this.refuse({ failure });
    }
  }

  /** Sends an answer to the server. Where the server has forgotten the task, the next poll shows why. */
  private async update(inputResponses: JsonObject): Promise<void> {
    const { reply } = await this.retry(() => this.task.request('tasks/update', { inputResponses }));
    if (reply.error && !isUnknown(reply)) this.refuse({ error: reply.error });
  }

  private refuse(refusal: Refusal): void {
    this.refusal ??= refusal;
    this.over.abort();
  }
}

/** Asks the caller, and holds the clock meanwhile. */
export async function askHeld(clock: CallClock, ask: () => Promise<QuestionAnswer>): Promise<QuestionAnswer> {
  clock.hold();
  try {
    return await ask();
  } finally {
    clock.release();
  }
}

/** The result or the error of an ended task, which its call gets. Throws GatewayError where the server gives neither. */
function resultOf(
  { status, result, error, statusMessage }: JsonObject,
  server: string,
): Pick<UpstreamReply['reply'], 'result' | 'error'> {
  if (status === 'completed' && isObject(result)) return { result };
  const code = status === 'failed' && isObject(error) ? numberOf(error.code) : undefined;
  if (code !== undefined && isObject(error) && typeof error.message === 'string')
    return { error: { code, message: error.message, ...('data' in error && { data: error.data }) } };
  const why = typeof statusMessage === 'string' ? `: ${statusMessage.slice(0, BOUNDS.quotedServerText)}` : '';
  if (status === 'cancelled')
    throw new GatewayError(
      'upstream_failed',
      `The server "${server}" cancelled the task that it made of the call${why}`,
    );
  throw new GatewayError(
    'upstream_protocol',
    `The server "${server}" ended a task without saying what came of it${why}`,
  );
}
