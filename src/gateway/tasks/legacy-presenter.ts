// A legacy server's task for a legacy client: passed through under our id; what it ended with stays at its server (wire.md, Tasks).
import { setTimeout as delay } from 'node:timers/promises';
import type { McpCall } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { type ClientSession, type Exchange, ownExchange, relayed } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { withRelatedTask } from '../../protocol/mcp/tasks.ts';
import { bridgeResult } from '../bridge/results.ts';
import { type Destination, originOf, send } from '../upstream-request.ts';
import type { Task, TaskPresenter } from './task.ts';
import { isSame, isUnknown, type ResultReply } from './upstream-task.ts';

/** How often a question looks for somebody who can be asked, in ms. */
const LOOK_AGAIN_MS = 1_000;

/** The one request at the server for all who wait for the result at the same time. */
interface SharedWait {
  readonly answer: Promise<ResultReply>;
  readonly cancellation: Cancellation;
}

export class LegacyPresenter implements TaskPresenter {
  readonly task: Task;
  readonly outlivesInstance = false;
  readonly bytes = 0;
  /** By which its caller knows its progress (2025-11-25 basic/utilities/tasks, Task Progress Notifications). */
  private readonly progressToken: Exchange['progressToken'];
  /** The session that made it, as long as that lives: a task may outlive it by a day. */
  private session: ClientSession | undefined;
  /** Those who wait for the result, the latest last. */
  private readonly waiters = new Set<Exchange>();
  private nextWaiter = Promise.withResolvers<void>();
  private shared: SharedWait | undefined;

  /** Keeps nothing of the call but its session and its progress token. */
  constructor(task: Task, { session, exchange }: Pick<McpCall, 'session' | 'exchange'>) {
    this.task = task;
    this.progressToken = exchange.progressToken;
    this.session = session;
    const stopWatching = session?.standing.signal.onAbort(() => (this.session = undefined));
    task.closed.onAbort(() => {
      stopWatching?.();
      this.session = undefined;
    });
    // the server's notifications go to the session that made the task (2025-11-25 basic/utilities/tasks, Task Status Notification)
    task.subscribe((news) => {
      if (news) this.session?.standing.notify('notifications/tasks/status', this.present(news));
    });
  }

  /** For `tasks/list`. */
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

  /** The latest who waits for the result, else the session that made the task; where neither is there, the first who begins to wait. */
  async asker(signal: CancelSignal): Promise<Exchange | undefined> {
    while (!this.task.ended && !signal.aborted) {
      const found = [...this.waiters].at(-1) ?? (this.session?.reachable ? this.session.standing : undefined);
      if (found && !found.signal.aborted) return this.exchangeOf(found);
      await Promise.race([this.nextWaiter.promise, delay(LOOK_AGAIN_MS, undefined, { ref: false })]);
    }
    return undefined;
  }

  /** Waits for the result together with all others who do, however long that takes. Throws GatewayError. */
  async result(exchange: Exchange): Promise<ResultReply> {
    const cancelled = Promise.withResolvers<never>();
    const cancel = () => cancelled.reject(new GatewayError('cancelled', 'The caller cancelled the call.'));
    const unsubscribe = [exchange.signal.onAbort(cancel), this.task.closed.onAbort(cancel)];
    this.waiters.add(exchange);
    this.nextWaiter.resolve();
    this.nextWaiter = Promise.withResolvers();
    try {
      return await Promise.race([(this.shared ??= this.wait()).answer, cancelled.promise]);
    } catch (failure) {
      throw this.whyForgotten() ?? failure;
    } finally {
      for (const stop of unsubscribe) stop();
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
    // the server need not say how the task ended: its result does
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

  /** Sends progress and log lines to all who wait. It answers no question: `asker` finds who does. */
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

  /** The exchange of one who waits: questions carry the id of the task, and progress carries the token of the call that made it. */
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
