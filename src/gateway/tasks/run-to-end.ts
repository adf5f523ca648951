// Begins tasks, and runs them to their end for callers that know no tasks: the call is answered with the result (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { Cancellation, pause } from '../../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { type Exchange, type QuestionAnswer, relayed } from '../../core/exchange.ts';
import type { InFlight } from '../../core/in-flight.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { CallClock } from '../../upstream/mcp/wire/deadlines.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import { type Destination, send } from '../upstream-request.ts';
import {
  isLegacyTask,
  isLoss,
  isTransient,
  isUnknown,
  MAX_FAILURES,
  taskCreatedBy,
  type UpstreamTask,
} from './upstream-task.ts';

/** How often a modern server is asked for a task: the default, and the bounds for what it wants, in ms. */
const DEFAULT_POLL_MS = 500;
const LEAST_POLL_MS = 100;
const MOST_POLL_MS = 30_000;

/** How long a server may take to name the task that it made, once the caller has cancelled the call, in ms. */
const NAMED_WITHIN_MS = 1_000;

/** Most questions of one task. */
const MAX_QUESTIONS = 100;

/** A call as it is sent to its server. */
export interface TaskCall {
  readonly params: JsonObject;
  readonly exchange: Exchange;
}

/**
 * Has a legacy server begin a task. Where the caller cancels meanwhile, the task is cancelled as soon as its id is known. Throws GatewayError.
 * `cancellations` counts requests that cancel tasks at their servers.
 */
export async function createTask(
  call: McpCall,
  to: Destination,
  { params, exchange, cancellations }: TaskCall & { readonly cancellations: InFlight },
): Promise<UpstreamReply> {
  const givenUp = new Cancellation();
  const creating = send(call, to, { params, exchange: relayed(exchange, { signal: givenUp }) });
  const cancelled = Promise.withResolvers<never>();
  const unsubscribe = exchange.signal.onAbort(() => {
    setTimeout(() => givenUp.abort(), NAMED_WITHIN_MS).unref();
    const cancelling = creating
      .then((answered) => (isLegacyTask(answered) ? taskCreatedBy(to.upstream, answered).cancel() : undefined))
      .catch(() => undefined); // there is no task, or none that could be cancelled
    void cancellations.track(cancelling);
    cancelled.reject(new GatewayError('cancelled', 'The caller cancelled the call.'));
  });
  try {
    return await Promise.race([creating, cancelled.promise]);
  } finally {
    unsubscribe();
  }
}

export interface RunLegacyOptions {
  readonly exchange: Exchange;
  readonly principal: string;
  /** Requests that cancel tasks at their servers. */
  readonly cancellations: InFlight;
}

/** The answer that a call would have had that a legacy server made a task of. Throws GatewayError; the task is cancelled then. */
export async function runLegacyTask(
  upstream: Upstream,
  answered: UpstreamReply,
  { exchange, principal, cancellations }: RunLegacyOptions,
): Promise<UpstreamReply> {
  const task = taskCreatedBy(upstream, answered);
  const clock = new CallClock(task.totalMs, BOUNDS.callDuration);
  try {
    return await task.result({ exchange: timed(exchange, clock), principal, leftMs: () => clock.leftMs });
  } catch (failure) {
    void cancellations.track(task.cancel());
    throw failure;
  }
}

/** Several requests may wait for one task: what moves or stops the clock of one of them moves or stops the clock of all. */
function timed(exchange: Exchange, clock: CallClock): Exchange {
  return relayed(exchange, {
    progress: (params) => {
      clock.extend();
      exchange.progress(params);
    },
    ask: (question) => askHeld(clock, () => exchange.ask(question)),
  });
}

export interface RunModernOptions {
  readonly call: McpCall;
  readonly upstream: Upstream;
  readonly questions: LiveQuestions;
}

/**
 * The answer that a call would have had that a modern server made a task of. Throws `cancelled` where the caller cancels,
 * `upstream_timed_out` where the task does not change for `timeouts.total`, and the last of several failures of the server in a row. Unless the
 * task has ended by then, it is cancelled.
 */
export async function runModernTask(answered: UpstreamReply, options: RunModernOptions): Promise<UpstreamReply> {
  const task = taskCreatedBy(options.upstream, answered);
  const last = await new ModernRun(task, options).run(answered);
  const { result, error, bytes } = last.reply;
  return error ? last : { ...last, reply: { ...resultOf(result ?? {}, options.upstream.config.name), bytes } };
}

/** Why a call cannot go on after a question: the client's error, or what went wrong. */
type Refusal = { readonly error: RpcError } | { readonly failure: unknown };

class ModernRun {
  private readonly task: UpstreamTask;
  private readonly server: string;
  private readonly exchange: Exchange;
  private readonly questions: LiveQuestions;
  private readonly clock: CallClock;
  /** Aborted when the caller cancels, a question ends the call, or the task has ended. */
  private readonly over = new Cancellation();
  /** Keys of all questions that the client was asked: the server may list a question until it has processed the answer. */
  private readonly asked = new Set<string>();
  private readonly open = new Map<string, Cancellation>();
  private refusal: Refusal | undefined;
  private pollMs = DEFAULT_POLL_MS;
  private latest = '';
  private steps = 0;

  constructor(task: UpstreamTask, { call, upstream, questions }: RunModernOptions) {
    this.task = task;
    this.server = upstream.config.name;
    this.exchange = call.exchange;
    this.questions = questions;
    this.clock = new CallClock(task.totalMs, BOUNDS.callDuration);
  }

  /** The last description of the task, or the error that ends the call. */
  async run(created: UpstreamReply): Promise<UpstreamReply> {
    const unsubscribe = this.exchange.signal.onAbort(() => this.over.abort());
    try {
      return await this.poll(created);
    } catch (failure) {
      void this.task.cancel(); // the caller does not wait for that
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

  /** A change of the task counts as progress: it extends the clock and is sent to the caller. */
  private accept({ pollIntervalMs, status, statusMessage, lastUpdatedAt }: JsonObject): void {
    const wanted = numberOf(pollIntervalMs) ?? DEFAULT_POLL_MS;
    this.pollMs = Math.min(Math.max(wanted, LEAST_POLL_MS), MOST_POLL_MS);
    const latest = JSON.stringify([status, statusMessage, lastUpdatedAt]);
    if (latest === this.latest) return;
    this.latest = latest;
    this.clock.extend();
    const message = typeof statusMessage === 'string' ? { message: statusMessage.slice(0, 1_000) } : {};
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

  /** Sends a request about the task, and again where that fails, since the task may still run. That the server knows no such task is an answer. */
  private async retry(ask: () => Promise<UpstreamReply>): Promise<UpstreamReply> {
    let last: GatewayError | undefined;
    for (let failures = 0; ; failures++) {
      try {
        const answered = await ask();
        const { reply } = answered;
        if (!reply.error || isUnknown(reply) || failures >= MAX_FAILURES) return answered;
      } catch (failure) {
        if (isLoss(failure)) throw last ?? this.lost();
        if (failures >= MAX_FAILURES || !isTransient(failure)) throw failure;
        last = toGatewayError(failure);
      }
      await this.pauseUntilPoll();
    }
  }

  /** For a caller that knows no tasks, a lost task is a server that went away. */
  private lost(): GatewayError {
    return new GatewayError(
      'upstream_closed',
      `The server "${this.server}" went away while it worked on the task that it made of the call.`,
    );
  }

  /** Asks the client the new questions, and withdraws those that the server lists no more. Throws `upstream_protocol` where there are too many. */
  private askNew(inputRequests: JsonObject): void {
    for (const [key, question] of this.open) if (!Object.hasOwn(inputRequests, key)) question.abort();
    for (const [key, request] of Object.entries(inputRequests)) {
      if (this.asked.has(key)) continue;
      if (this.asked.size >= MAX_QUESTIONS)
        throw new GatewayError(
          'upstream_protocol',
          `The server "${this.server}" asked more than ${MAX_QUESTIONS} questions in one task.`,
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

/** Asks the caller; the clock stands still meanwhile. */
async function askHeld(clock: CallClock, ask: () => Promise<QuestionAnswer>): Promise<QuestionAnswer> {
  clock.hold();
  try {
    return await ask();
  } finally {
    clock.release();
  }
}

/** What came of a task: the result, or the error, that its call would have had. Throws GatewayError where the server says neither. */
function resultOf(
  { status, result, error, statusMessage }: JsonObject,
  server: string,
): Pick<UpstreamReply['reply'], 'result' | 'error'> {
  if (status === 'completed' && isObject(result)) return { result };
  const code = status === 'failed' && isObject(error) ? numberOf(error.code) : undefined;
  if (code !== undefined && isObject(error) && typeof error.message === 'string')
    return { error: { code, message: error.message, ...('data' in error && { data: error.data }) } };
  const why = typeof statusMessage === 'string' ? `: ${statusMessage.slice(0, 500)}` : '';
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
