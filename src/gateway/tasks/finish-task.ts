// A task of a modern server for a legacy client, who waits for an answer: followed to its end, its questions put live (wire.md, Tasks).
import { type Call } from '../../core/call.ts';
import { pause } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { type RpcError } from '../../core/reply.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import { HARD_LIMIT_MS, type WireReply } from '../../upstream/mcp/wire/wire.ts';
import { type LiveQuestions } from '../bridge/live-questions.ts';

/** How often a task is looked at whose server does not say, and the bounds for one that does, in ms. */
const USUAL_POLL_MS = 500;
const LEAST_POLL_MS = 100;
const MOST_POLL_MS = 30_000;

export interface FinishTaskOptions {
  readonly server: string;
  /** Sends a request about the task. Throws GatewayError. */
  readonly send: (method: string, params?: JsonObject) => Promise<WireReply>;
  readonly questions: LiveQuestions;
  /** How long the task may stand still, in ms. */
  readonly totalMs: number;
}

/** What came of a task: the result, or the error, that its call would have had. */
export type Finished = { readonly result: JsonObject } | { readonly error: RpcError };

/** Follows a task to its end. Throws `cancelled` and cancels the task where the caller gives up, `upstream_timed_out` where it stands still. */
export async function finishTask(call: Call, created: JsonObject, options: FinishTaskOptions): Promise<Finished> {
  const follower = new Follower(call, options);
  try {
    return await follower.follow(created);
  } catch (error) {
    // a task that nobody waits for any more is ended; why it failed is what the caller is told
    await options.send('tasks/cancel').catch(() => undefined);
    throw error;
  }
}

class Follower {
  private readonly call: Call;
  private readonly options: FinishTaskOptions;
  private readonly answered = new Set<string>();
  private startedAt = performance.now();
  private movedAt = performance.now();
  private last = '';
  private steps = 0;

  constructor(call: Call, options: FinishTaskOptions) {
    this.call = call;
    this.options = options;
  }

  async follow(created: JsonObject): Promise<Finished> {
    const { signal } = this.call.exchange;
    let task = created;
    while (!isTerminal(task.status)) {
      this.look(task);
      const refused = await this.putQuestions(task);
      if (refused) return refused;
      await pause(pollOf(task), signal);
      const { result, error } = await this.options.send('tasks/get');
      if (error) return { error };
      task = result ?? {};
    }
    return this.endOf(task);
  }

  /** A task that moves restarts its time, as progress does, and the caller hears of it. */
  private look({ status, statusMessage, lastUpdatedAt }: JsonObject): void {
    const now = performance.now();
    const seen = JSON.stringify([status, statusMessage, lastUpdatedAt]);
    if (seen !== this.last) {
      this.last = seen;
      this.movedAt = now;
      const message = typeof statusMessage === 'string' ? { message: statusMessage.slice(0, 1_000) } : {};
      this.call.exchange.progress({ progress: ++this.steps, ...message });
    }
    const { server, totalMs } = this.options;
    if (now - this.movedAt > totalMs || now - this.startedAt > HARD_LIMIT_MS)
      throw new GatewayError(
        'upstream_timed_out',
        `The server "${server}" made a task of the call, and the task did not end within its time (timeouts.total).`,
      );
  }

  /** Puts questions that were not put yet, and gives the server the answers. Returns the client's error where it gave one. */
  private async putQuestions({ inputRequests }: JsonObject): Promise<Finished | undefined> {
    const open = Object.entries(isObject(inputRequests) ? inputRequests : {}).filter(
      ([key]) => !this.answered.has(key),
    );
    if (open.length === 0) return undefined;
    const askedAt = performance.now();
    const said = await this.options.questions.answer({ inputRequests: Object.fromEntries(open) }, {});
    if ('error' in said) {
      await this.options.send('tasks/cancel');
      return { error: said.error };
    }
    for (const [key] of open) this.answered.add(key);
    const { error } = await this.options.send('tasks/update', { inputResponses: said.params.inputResponses ?? {} });
    // the time of the caller is not the server's
    this.movedAt = performance.now();
    this.startedAt += this.movedAt - askedAt;
    return error && { error };
  }

  private endOf({ status, result, error, statusMessage }: JsonObject): Finished {
    if (status === 'completed' && isObject(result)) return { result };
    if (status === 'failed' && isObject(error) && typeof error.code === 'number' && typeof error.message === 'string')
      return { error: { code: error.code, message: error.message, ...('data' in error && { data: error.data }) } };
    const { server } = this.options;
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
}

function pollOf({ pollIntervalMs }: JsonObject): number {
  const wanted = typeof pollIntervalMs === 'number' ? pollIntervalMs : USUAL_POLL_MS;
  return Math.min(Math.max(wanted, LEAST_POLL_MS), MOST_POLL_MS);
}
