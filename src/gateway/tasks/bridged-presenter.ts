// Presents a legacy server's task to a modern client: waits for its result, and keeps its questions until the client answers (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { Cancellation, within } from '../../core/cancellation.ts';
import { ERRORS, GatewayError, toGatewayError, unknownTask } from '../../core/errors.ts';
import { type Exchange, ownExchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply, RpcError } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/vocabulary.ts';
import { isTerminal, TASK_RESULT, toModernTask } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { type Outcome, ParkedCall } from '../bridge/parked-call.ts';
import { lackedIn } from '../bridge/parked-calls.ts';
import type { Task, TaskPresenter } from './task.ts';
import { isLoss, isUnknown } from './upstream-task.ts';

const ACKNOWLEDGED: JsonObject = Object.freeze({ resultType: 'complete' });

export interface BridgedPresenterOptions {
  readonly capabilities: JsonObject;
  /** How long the task is kept, in ms. */
  readonly ttlMs: number;
  /** Whether there is memory for the open questions of the task; asked after each new one. */
  readonly admits: () => boolean;
}

export class BridgedPresenter implements TaskPresenter {
  readonly task: Task;
  /** When the instance is gone, the task fails, and its caller can still read that. */
  readonly outlivesInstance = true;
  private readonly ttlMs: number;
  /** Keeps the open questions and the outcome. */
  private readonly parked: ParkedCall;
  private readonly finished: Promise<void>;
  /** Fails the wait for the result; undefined after the wait has ended. */
  private stopWaiting: ((reason: GatewayError) => void) | undefined;

  constructor(task: Task, { capabilities, ttlMs, admits }: BridgedPresenterOptions) {
    this.task = task;
    this.ttlMs = ttlMs;
    // progress and log lines are not for tasks (tasks extension, Task Status Notifications)
    const exchange = { ...ownExchange(new Cancellation()), capabilities };
    this.parked = new ParkedCall({ exchange, params: {} }, { asked: () => task.publish(), uniqueKeys: true, admits });
    task.closed.onAbort(() => this.parked.signal.abort());
    const outcome = this.waitForOutcome();
    this.parked.run(outcome);
    const finish = () => this.finish();
    this.finished = outcome.then(finish, finish);
  }

  get bytes(): number {
    return this.parked.bytes;
  }

  /** A new task is `working` even if it asks something: its questions are in `tasks/get` (tasks extension, Task Creation). */
  handle({ _meta }: JsonObject): JsonObject {
    const { inputRequests: _asked, ...shown } = this.describe();
    return { ...withoutProtocolMeta({ _meta }), ...shown, resultType: TASK_RESULT, status: 'working' };
  }

  async answer({ method, params }: McpCall): Promise<Reply> {
    if (method === 'tasks/update') this.update(params.inputResponses);
    if (method === 'tasks/cancel') await this.cancel();
    if (method !== 'tasks/get') return { kind: 'result', result: ACKNOWLEDGED };
    const error = await this.refresh();
    if (!error) return { kind: 'result', result: { ...ACKNOWLEDGED, ...this.describe() } };
    if (isUnknown({ error })) throw unknownTask();
    return { kind: 'error', error };
  }

  asker(): Promise<Exchange | undefined> {
    return Promise.resolve(this.task.ended ? undefined : this.parked);
  }

  /** Returns how to unsubscribe. */
  subscribe(subscriber: () => void): () => void {
    // subscribers are notified of the end once the outcome is known
    return this.task.subscribe((notification) => {
      if (!isTerminal(notification?.status)) subscriber();
    });
  }

  /** The task in its latest known state (tasks extension, Task Status). */
  describe(): JsonObject {
    const { ref, described, ended } = this.task;
    const known = { taskId: ref.id, ...toModernTask(described), ttlMs: this.ttlMs };
    if (ended) return { ...known, lastUpdatedAt: ended.at, ...this.describeEnd() };
    const inputRequests = this.parked.inputRequests();
    if (Object.keys(inputRequests).length > 0) return { ...known, status: 'input_required', inputRequests };
    return { ...known, status: 'working' };
  }

  /** Sends the server the answers to open questions, and ignores all others (tasks extension, Task Update Requests). */
  private update(responses: unknown): void {
    if (!isObject(responses)) throw new GatewayError('invalid_params', '`params.inputResponses` must be an object.');
    this.parked.answer(responses);
  }

  /** A task that has ended stays as it is (tasks extension, Task Cancellation). */
  private async cancel(): Promise<void> {
    if (this.isOver()) return;
    const { reply } = await this.task.upstream.request('tasks/cancel').catch((failure: unknown) => {
      if (isLoss(failure)) this.lose();
      throw failure;
    });
    if (reply.error || this.isOver()) return;
    this.task.end('cancelled');
    this.parked.signal.abort();
  }

  /** Asks the server for the state of the task; returns the server's error where it answers with one (tasks extension, Task Polling). Throws GatewayError. */
  private async refresh(): Promise<RpcError | undefined> {
    const { task } = this;
    if (this.isOver()) return undefined;
    let answered: UpstreamReply;
    try {
      answered = await task.upstream.get();
    } catch (failure) {
      if (isLoss(failure)) this.lose();
      // where the instance is gone, the wait for the result fails at about the same time
      await this.untilFinished();
      if (this.isOver()) return undefined;
      throw failure;
    }
    const { result, error } = answered.reply;
    if (error && !this.isOver()) return error;
    if (result) task.accept(result);
    // the outcome comes at about the same time, as the answer to `tasks/result`
    if (isTerminal(task.described.status)) await this.untilFinished();
    return undefined;
  }

  /** Waits for the result. A legacy server asks its questions on the stream of this request (2025-11-25 basic/utilities/tasks, Input Required Status). */
  private async waitForOutcome(): Promise<Reply> {
    const { upstream, principal } = this.task;
    const waiting = Promise.withResolvers<UpstreamReply>();
    this.stopWaiting = waiting.reject;
    upstream
      .result({
        exchange: this.parked,
        principal: principal.id,
        keptTask: true,
        hasQuestions: () => Object.keys(this.parked.inputRequests()).length > 0,
      })
      .then(waiting.resolve, waiting.reject);
    // no local variable may keep the parsed reply: `keepOutcome` replaces it by its JSON
    const { result, error } = (await waiting.promise.finally(() => (this.stopWaiting = undefined))).reply;
    return error ? { kind: 'error', error } : { kind: 'result', result: withoutProtocolMeta(result ?? {}) };
  }

  /** Called when the server has forgotten the task or its session, so that there will be no result. */
  private lose(): void {
    const { server } = this.task.ref.target;
    this.stopWaiting?.(new GatewayError('upstream_closed', `The server "${server}" lost the task before its end.`));
    this.parked.signal.abort();
  }

  private finish(): void {
    const { status } = this.describeEnd();
    this.parked.keepOutcome();
    this.task.end(typeof status === 'string' ? status : 'unknown');
  }

  private isOver(): boolean {
    return this.task.ended !== undefined;
  }

  private untilFinished(): Promise<void> {
    return within(this.finished, BOUNDS.taskOutcome);
  }

  /** The final state. A result with `isError` is `completed`: `failed` is for protocol errors alone (tasks extension, Task Execution Errors). */
  private describeEnd(): JsonObject {
    const { outcome, lacking } = this.parked;
    if (this.task.ended?.status === 'cancelled' || !outcome) return { status: 'cancelled' };
    if ('failure' in outcome) return failedBy(toGatewayError(outcome.failure));
    if (this.task.described.status === 'cancelled') return { status: 'cancelled' };
    const lacked = lackedIn(outcome.reply, lacking);
    return lacked ? failedBy(lacked) : endedWith(outcome.reply);
  }
}

function endedWith(reply: Extract<Outcome, { reply: Reply }>['reply']): JsonObject {
  if (reply.kind === 'result') return { status: 'completed', result: reply.result };
  return reply.kind === 'error' ? failedWith(reply.error) : { status: 'cancelled' };
}

function failedBy({ code, message, data }: GatewayError): JsonObject {
  return failedWith({ code: ERRORS[code].jsonRpc, message, data });
}

function failedWith({ code, message, data }: RpcError): JsonObject {
  return { status: 'failed', statusMessage: message, error: { code, message, ...(isObject(data) && { data }) } };
}
