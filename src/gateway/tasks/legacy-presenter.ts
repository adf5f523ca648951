// Presents a legacy server's task to a legacy client: passes it through under an id of the gateway; its result stays at the server (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { Cancellation, type CancelSignal, untilCancelled, within } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { type ClientSession, type Exchange, ownExchange, relayed } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/vocabulary.ts';
import { withRelatedTask } from '../../protocol/mcp/tasks.ts';
import { bridgeResult } from '../bridge/results.ts';
import { type Destination, originOf, send } from '../upstream-request.ts';
import type { Task, TaskPresenter } from './task.ts';
import { isSame, isUnknown, type ResultReply } from './upstream-task.ts';

/** The one `tasks/result` at the server for all callers that wait for the result at the same time. */
interface SharedWait {
  readonly answer: Promise<ResultReply>;
  readonly cancellation: Cancellation;
}

export class LegacyPresenter implements TaskPresenter {
  readonly task: Task;
  readonly outlivesInstance = false;
  readonly bytes = 0;
  /** The progress token of the call that made the task; it stays valid for the task (2025-11-25 basic/utilities/tasks, Task Progress Notifications). */
  private readonly progressToken: Exchange['progressToken'];
  /** The session that made the task; undefined after its end, which the task may outlive by a day. */
  private session: ClientSession | undefined;
  /** The callers that wait for the result, the latest last. */
  private readonly waiters = new Set<Exchange>();
  /** Resolves when one more caller begins to wait. */
  private nextWaiter = Promise.withResolvers<void>();
  private shared: SharedWait | undefined;

  /** Of the call it keeps only the session and the progress token. */
  constructor(task: Task, { session, exchange }: Pick<McpCall, 'session' | 'exchange'>) {
    this.task = task;
    this.progressToken = exchange.progressToken;
    this.session = session;
    const stopListening = session?.standing.signal.onAbort(() => (this.session = undefined));
    task.closed.onAbort(() => {
      stopListening?.();
      this.session = undefined;
    });
    // the server's notifications go to the session that made the task (2025-11-25 basic/utilities/tasks, Task Status Notification)
    task.subscribe((notification) => {
      if (notification) this.session?.standing.notify('notifications/tasks/status', this.present(notification));
    });
  }

  /** The entry of `tasks/list`. */
  get listed(): JsonObject {
    return { ...this.task.described, taskId: this.task.ref.id };
  }

  handle(result: JsonObject): JsonObject {
    const described = isObject(result.task) ? result.task : {};
    this.task.accept(described); // it may have ended already
    return { ...result, task: this.present(described) };
  }

  async answer(call: McpCall, to: Destination): Promise<Reply> {
    const { task } = this;
    const { ref } = task;
    if (call.method === 'tasks/result') return this.answerResult(call, to);
    const answered = await send(call, to, { params: { ...call.params, taskId: ref.upstreamId } });
    const { result = {}, error } = answered.reply;
    const isGone = isUnknown({ error }) || (!error && !isSame(ref, result));
    if (call.method === 'tasks/get' && isGone) throw unknownTask();
    const origin = originOf(to, answered);
    if (error) return { kind: 'error', error, origin };
    task.accept(result);
    return { kind: 'result', result: this.present(result), origin };
  }

  /**
   * The latest caller that waits for the result, else the session that made the task. Where there is neither, waits for one. Undefined where the
   * task ends before, or `signal` is aborted.
   */
  async asker(signal: CancelSignal): Promise<Exchange | undefined> {
    while (!this.task.ended && !signal.aborted) {
      const found = [...this.waiters].at(-1) ?? (this.session?.reachable ? this.session.standing : undefined);
      if (found && !found.signal.aborted) return this.exchangeOf(found);
      await within(this.nextWaiter.promise, BOUNDS.taskAskerCheck, { signal });
    }
    return undefined;
  }

  /** Waits for the result of the task, without a limit. All callers share one request at the server. Throws GatewayError. */
  async result(exchange: Exchange): Promise<ResultReply> {
    this.waiters.add(exchange);
    this.nextWaiter.resolve();
    this.nextWaiter = Promise.withResolvers();
    try {
      const { answer } = (this.shared ??= this.wait());
      return await untilCancelled(untilCancelled(answer, exchange.signal), this.task.closed);
    } catch (failure) {
      throw this.whyForgotten() ?? failure;
    } finally {
      this.waiters.delete(exchange);
      if (this.waiters.size === 0) {
        this.shared?.cancellation.abort();
        this.shared = undefined;
      }
    }
  }

  private async answerResult(call: McpCall, to: Destination): Promise<Reply> {
    const { task } = this;
    const answered = await this.result(call.exchange);
    const { result = {}, error } = answered.reply;
    if (answered.isForgotten) throw unknownTask();
    const origin = originOf(to, answered);
    if (error) return { kind: 'error', error, origin };
    // a server need not notify of the end: the result says how the task ended
    task.accept({ ...task.described, status: result.isError === true ? 'failed' : 'completed' });
    const known = bridgeResult(call, { era: 'legacy', traits: to.traits }, result);
    return { kind: 'result', result: withRelatedTask(withoutProtocolMeta(known), task.ref.id), origin };
  }

  private wait(): SharedWait {
    const { upstream, principal } = this.task;
    const cancellation = new Cancellation();
    const exchange = this.exchangeOfAll(cancellation);
    const answer = upstream.result({ exchange, principal: principal.id, keptTask: true });
    const shared = { answer, cancellation };
    const end = () => {
      if (this.shared === shared) this.shared = undefined;
    };
    answer.then(end, end);
    return shared;
  }

  /** The exchange of the shared request: sends progress and log lines to all waiting callers. Questions go to `asker` instead. */
  private exchangeOfAll(signal: CancelSignal): Exchange {
    return {
      ...ownExchange(signal),
      progress: (params) => {
        for (const exchange of this.waiters) this.exchangeOf(exchange).progress(params);
      },
      log: (params) => {
        for (const exchange of this.waiters) exchange.log(params);
      },
    };
  }

  /** The exchange of one waiting caller: questions carry the id of the task, and progress the token of the call that made the task. */
  private exchangeOf(exchange: Exchange): Exchange {
    const { id } = this.task.ref;
    const { progressToken } = this;
    return relayed(exchange, {
      wantsProgress: false,
      progress: (params) => {
        if (progressToken === undefined) return;
        exchange.notify('notifications/progress', withRelatedTask({ ...params, progressToken }, id));
      },
      ask: (question) => exchange.ask({ ...question, task: id }),
    });
  }

  /** The error of a wait for a forgotten task; undefined while the task is kept. */
  private whyForgotten(): GatewayError | undefined {
    const { forgotten, ref } = this.task;
    if (forgotten === undefined) return undefined;
    if (forgotten === 'stopped')
      return new GatewayError('gateway_closed', 'The gateway is stopping, and the task is cancelled.');
    if (forgotten !== 'lost') return unknownTask();
    return new GatewayError(
      'upstream_closed',
      `The server "${ref.target.server}" went away while it worked on the task.`,
    );
  }

  private present(described: JsonObject): JsonObject {
    return { ...withoutProtocolMeta(described), taskId: this.task.ref.id };
  }
}
