// A task of a modern server for a legacy client, who waits for an answer: followed to its end, its questions put live (wire.md, Tasks).
import type { McpCall } from '../../core/call.ts';
import { Cancellation, pause } from '../../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';
import type { LiveQuestions } from '../bridge/live-questions.ts';
import { TaskClock } from './task-clock.ts';
import { type Refusal, TaskQuestions } from './task-questions.ts';
import { cancelAtServer, isUnknown, look, reach, type TaskAt } from './upstream-task.ts';
import { MAX_FAILURES, mayPass } from './await-task-result.ts';

/** How often a task is looked at whose server does not say, and the bounds for one that does, in ms. */
const USUAL_POLL_MS = 500;
const LEAST_POLL_MS = 100;
const MOST_POLL_MS = 30_000;

export interface PollTaskOptions {
  readonly server: string;
  /** The task; it may stand still for as long as one answer may take. */
  readonly at: TaskAt;
  readonly questions: LiveQuestions;
}

/** What came of a task: the result, or the error, that its call would have had. */
export type Finished = { readonly result: JsonObject } | { readonly error: RpcError };

/** How the following of a task ended: with the task's own end, or with an error, after which it may still be there. */
type Last = { readonly task: JsonObject } | { readonly error: RpcError; readonly isGone: boolean };

/**
 * Follows a task to its end. Throws `cancelled` where the caller gives up, `upstream_timed_out` where the task stands still, and what the
 * server fails with again and again. A task that did not end, but that nobody waits for any more, is cancelled.
 */
export async function pollModernTask(call: McpCall, created: JsonObject, options: PollTaskOptions): Promise<Finished> {
  // why it failed is what the caller is told, and at once, whatever comes of this
  const cancel = () => void cancelAtServer(options.at);
  let last: Last;
  try {
    last = await new Follower(call, options).follow(created);
  } catch (failure) {
    cancel();
    throw failure;
  }
  if ('task' in last) return endOf(last.task, options.server);
  if (!last.isGone) cancel();
  return { error: last.error };
}

class Follower {
  private readonly call: McpCall;
  private readonly options: PollTaskOptions;
  private readonly clock: TaskClock;
  private readonly questions: TaskQuestions;
  /** Aborted when the caller gives up, a question ends the call, or there is nothing to follow any more. */
  private readonly over = new Cancellation();
  private refusal: Refusal | undefined;
  private pollMs = USUAL_POLL_MS;
  private last = '';
  private steps = 0;

  constructor(call: McpCall, options: PollTaskOptions) {
    this.call = call;
    this.options = options;
    this.clock = new TaskClock(options.at.totalMs);
    this.questions = new TaskQuestions({
      server: options.server,
      questions: options.questions,
      clock: this.clock,
      answer: (inputResponses) => this.update(inputResponses),
      refused: (refusal) => this.refuse(refusal),
    });
  }

  async follow(created: JsonObject): Promise<Last> {
    const stay = this.call.exchange.signal.onAbort(() => this.over.abort());
    try {
      return await this.poll(created);
    } catch (failure) {
      const { refusal } = this;
      if (!refusal) throw failure;
      if ('failure' in refusal) throw refusal.failure;
      return { error: refusal.error, isGone: false };
    } finally {
      stay();
      this.over.abort();
      this.questions.withdraw();
    }
  }

  private async poll(created: JsonObject): Promise<Last> {
    let task = created;
    while (!isTerminal(task.status)) {
      this.note(task);
      this.questions.follow(task.inputRequests);
      await this.rest();
      const standing = await this.insist(() => look(this.options.at));
      if (standing.error) return { error: standing.error, isGone: isUnknown(standing) };
      task = standing.result ?? {};
    }
    return { task };
  }

  /** A task that moves restarts its time, as progress does, and the caller hears of it. */
  private note(task: JsonObject): void {
    this.pollMs = pollOf(task);
    const { status, statusMessage, lastUpdatedAt } = task;
    const seen = JSON.stringify([status, statusMessage, lastUpdatedAt]);
    if (seen === this.last) return;
    this.last = seen;
    this.clock.moved();
    const message = typeof statusMessage === 'string' ? { message: statusMessage.slice(0, 1_000) } : {};
    this.call.exchange.progress({ progress: ++this.steps, ...message });
  }

  /** Waits until the server is to be asked again. Throws `upstream_timed_out` where the time of the task is over. */
  private async rest(): Promise<void> {
    if (this.clock.leftMs <= 0)
      throw new GatewayError(
        'upstream_timed_out',
        `The server "${this.options.server}" made a task of the call, and the task did not end within its time (timeouts.total).`,
      );
    await pause(this.pollMs, this.over);
  }

  /** Asks the server about the task, again where that fails: the task goes on meanwhile. The error that there is no task is an answer. */
  private async insist(ask: () => Promise<WireReply>): Promise<WireReply> {
    let last: GatewayError | undefined;
    for (let failures = 0; ; failures++) {
      try {
        const reply = await ask();
        if (!reply.error || isUnknown(reply) || failures >= MAX_FAILURES) return reply;
      } catch (failure) {
        if (isGone(failure)) throw last ?? this.lost();
        if (failures >= MAX_FAILURES || !mayPass(failure)) throw failure;
        last = toGatewayError(failure);
      }
      await this.rest();
    }
  }

  /** The server that worked on the task is not there any more, or began anew: its caller, who knows of no task, is told so. */
  private lost(): GatewayError {
    return new GatewayError(
      'upstream_closed',
      `The server "${this.options.server}" went away while it worked on the task that it made of the call.`,
    );
  }

  /** Gives the server an answer. Where it takes none any more, how the task stands tells why. */
  private async update(inputResponses: JsonObject): Promise<void> {
    const update = { method: 'tasks/update', params: { inputResponses } };
    const reply = await this.insist(() => reach(this.options.at, update));
    if (reply.error && !isUnknown(reply)) this.refuse({ error: reply.error });
  }

  private refuse(refusal: Refusal): void {
    this.refusal ??= refusal;
    this.over.abort();
  }
}

function isGone(failure: unknown): boolean {
  return failure instanceof GatewayError && failure.code === 'unknown_task';
}

function endOf({ status, result, error, statusMessage }: JsonObject, server: string): Finished {
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

function pollOf({ pollIntervalMs }: JsonObject): number {
  const wanted = numberOf(pollIntervalMs) ?? USUAL_POLL_MS;
  return Math.min(Math.max(wanted, LEAST_POLL_MS), MOST_POLL_MS);
}
