// Subscribes at modern servers to the notifications about tasks (tasks extension, Task Status Notifications).
import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '../../core/backoff.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { TaskRef } from '../../core/call.ts';
import { Cancellation, pause, within } from '../../core/cancellation.ts';
import { unknownTask } from '../../core/errors.ts';
import { ownExchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { InstanceCaller } from '../../upstream/mcp/instances/affinity.ts';
import type { Upstream } from '../../upstream/mcp/upstream.ts';
import { isLoss, sendToTask } from './upstream-task.ts';

/** Called with each notification about a task. */
export type TaskListener = (notification: JsonObject) => void;

/** Holds one `subscriptions/listen` for each principal at each instance of a modern server, for all listeners of that principal. */
export class TaskSubscriptions {
  private readonly open = new Map<string, TaskSubscription>();

  /** The subscription of a principal at the instance of a task. Each request goes to the server that `upstreamOf` then finds under the name. */
  of(
    task: TaskRef,
    { principal, era, exchange }: InstanceCaller,
    upstreamOf: (name: string) => Upstream | undefined,
  ): TaskSubscription {
    const { server } = task.target;
    const key = JSON.stringify([server, task.instance, principal.id]);
    const found = this.open.get(key);
    if (found) return found;
    // it outlives the call that made it, so that it has a signal of its own
    const { capabilities } = exchange;
    const caller = { principal, era, exchange: { capabilities, signal: new Cancellation() } };
    const subscription: TaskSubscription = new TaskSubscription({
      task,
      caller,
      upstream: () => upstreamOf(server),
      onEmpty: () => {
        if (this.open.get(key) === subscription) this.open.delete(key);
      },
    });
    this.open.set(key, subscription);
    return subscription;
  }
}

interface SubscriptionOptions {
  /** One of the tasks; names the instance. */
  readonly task: TaskRef;
  readonly caller: InstanceCaller;
  readonly upstream: () => Upstream | undefined;
  /** Called when the last listener has unsubscribed. */
  readonly onEmpty: () => void;
}

/** A `subscriptions/listen` request, sent again where the server ends it. */
class Stream {
  /** Ids of the tasks in the acknowledgement of the server. */
  acknowledged: ReadonlySet<string> = new Set();
  /** Resolves when the server has acknowledged the request, or will not. */
  readonly answered = Promise.withResolvers<void>();
  readonly cancellation = new Cancellation();
}

class TaskSubscription {
  private readonly options: SubscriptionOptions;
  /** By the ids of the server. */
  private readonly listeners = new Map<string, Set<TaskListener>>();
  private stream: Stream | undefined;
  /** The stream that subscribes to more tasks and is to replace `stream`; `opening` settles when it has, or could not. */
  private next: Stream | undefined;
  private opening: Promise<void> | undefined;

  constructor(options: SubscriptionOptions) {
    this.options = options;
  }

  /** Resolves with whether the server acknowledged the task that it knows by this id. Never throws. */
  async subscribe(id: string, listener: TaskListener): Promise<boolean> {
    const listeners = this.listeners.get(id) ?? new Set();
    if (listeners.size === 0 && this.listeners.size >= BOUNDS.subscribedTasks) return false;
    this.listeners.set(id, listeners.add(listener));
    // the stream that is being opened may not subscribe to this task
    if (!this.isAcknowledged(id)) await this.opening;
    if (!this.isAcknowledged(id)) await (this.opening ??= this.reopen());
    return this.isAcknowledged(id);
  }

  unsubscribe(id: string, listener: TaskListener): void {
    const listeners = this.listeners.get(id);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.listeners.delete(id);
    if (this.listeners.size > 0) return;
    this.stream?.cancellation.abort();
    this.next?.cancellation.abort();
    this.options.onEmpty();
  }

  private isAcknowledged(id: string): boolean {
    return this.stream?.acknowledged.has(id) === true;
  }

  /** Subscribes to all tasks on a new stream, which replaces the one before once the server has acknowledged it. */
  private async reopen(): Promise<void> {
    const stream = (this.next = new Stream());
    await delay(BOUNDS.taskSubscriptionGathering, undefined, { ref: false });
    void this.run(stream);
    await within(stream.answered.promise, BOUNDS.listenAcknowledgement);
    this.opening = this.next = undefined;
    // clients poll the tasks of a server that acknowledges nothing in time
    if (stream.acknowledged.size === 0) stream.cancellation.abort();
    if (stream.cancellation.aborted) return;
    this.stream?.cancellation.abort();
    this.stream = stream;
  }

  /** Sends the request again each time that it ends, until there is no listener or the server refuses it. Then clients poll (tasks extension, Task Polling). */
  private async run(stream: Stream): Promise<void> {
    const { cancellation } = stream;
    const { task, caller, upstream } = this.options;
    const release = upstream()?.tasks.stand(task.instance, caller.principal.id);
    let goesOn = release !== undefined;
    const backoff = new Backoff({
      firstMs: BOUNDS.taskSubscriptionFirstPause,
      mostMs: BOUNDS.taskSubscriptionPause,
    });
    while (goesOn && !cancellation.aborted) {
      const startedAt = performance.now();
      goesOn = await this.listen(stream);
      stream.answered.resolve();
      if (performance.now() - startedAt > BOUNDS.taskSubscriptionPause) backoff.reset();
      if (goesOn) await pause(backoff.next(), cancellation).catch(() => undefined); // the loop ends then
    }
    release?.();
    stream.answered.resolve();
    if (this.stream === stream) this.stream = undefined;
  }

  /** Sends the request once. Resolves when it ends, with whether to send it again. */
  private async listen(stream: Stream): Promise<boolean> {
    const { task, caller } = this.options;
    const request = {
      method: 'subscriptions/listen',
      params: { notifications: { taskIds: [...this.listeners.keys()] } },
      totalMs: Infinity,
      capabilities: {},
      tasks: true,
      exchange: ownExchange(stream.cancellation),
      onNotification: (method: string, params: JsonObject) => this.notified(stream, method, params),
    };
    try {
      const upstream = this.options.upstream();
      if (!upstream) throw unknownTask();
      return (await sendToTask(upstream, { task, request, caller })).reply.error === undefined;
    } catch (failure) {
      return !isLoss(failure);
    }
  }

  private notified(stream: Stream, method: string, params: JsonObject): void {
    if (method === 'notifications/subscriptions/acknowledged') {
      stream.acknowledged = idsIn(params);
      stream.answered.resolve();
    }
    if (method !== 'notifications/tasks' || typeof params.taskId !== 'string') return;
    for (const listener of this.listeners.get(params.taskId) ?? []) listener(params);
  }
}

function idsIn({ notifications }: JsonObject): ReadonlySet<string> {
  const ids = isObject(notifications) && Array.isArray(notifications.taskIds) ? notifications.taskIds : [];
  return new Set(ids.slice(0, BOUNDS.subscribedTasks).filter((id) => typeof id === 'string'));
}
