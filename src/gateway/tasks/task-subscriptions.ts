// News of tasks for those who listen to them (tasks extension, Task Status Notifications).
import { setTimeout as delay } from 'node:timers/promises';
import type { McpCall, TaskRef } from '../../core/call.ts';
import { Cancellation, pause } from '../../core/cancellation.ts';
import { unknownTask } from '../../core/errors.ts';
import { ownExchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { CallerFacts } from '../../upstream/mcp/instances/affinity.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import { BridgedPresenter } from './bridged-presenter.ts';
import { presentNews } from './modern-presenter.ts';
import type { TaskRegistry } from './task-registry.ts';
import { isLoss, isSame, isTransient, isUnknown, sendToTask, taskAt } from './upstream-task.ts';

/** How long a server may take to acknowledge a subscription, in ms. */
const ACKNOWLEDGE_MS = 2_000;

/** Subscriptions within this time, in ms, are made with one request. */
const GATHER_MS = 20;

/** The pause before a request that its server ended is sent again, in ms; doubled each time, up to the most. */
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 60_000;

/** Most tasks of one principal at one instance that are subscribed to. */
const MAX_TASKS = 1_000;

/** Receives what the server says of a task. */
type TaskListener = (news: JsonObject) => void;

export interface SubscribedTasksOptions extends Pick<DispatchParts, 'upstreams' | 'snapshots'> {
  readonly registry: TaskRegistry;
  readonly subscriptions: TaskSubscriptions;
}

/** The tasks of one listener, wherever they are. */
export class SubscribedTasks {
  private readonly call: McpCall;
  private readonly refs: readonly TaskRef[];
  private readonly options: SubscribedTasksOptions;
  /** The tasks that the listener was promised news of, by its ids; each with how to unsubscribe. */
  private readonly subscribed = new Map<string, () => void>();
  private listener: TaskListener | undefined;
  /** Tasks that changed before the acknowledgement, which comes first. After it the listener gets their latest state. */
  private readonly early = new Set<TaskRef>();

  /** `refs` are tasks of the caller. */
  constructor(call: McpCall, refs: readonly TaskRef[], options: SubscribedTasksOptions) {
    this.call = call;
    this.refs = refs;
    this.options = options;
  }

  /** Resolves with the ids of the tasks that the listener can be promised news of. */
  async subscribe(): Promise<string[]> {
    let isLate = false;
    const all = this.refs.map(async (ref) => {
      const unsubscribe = await this.subscribeTo(ref);
      // a task that its server acknowledges too late is left to polling
      if (isLate) unsubscribe?.();
      else if (unsubscribe) this.subscribed.set(ref.id, unsubscribe);
    });
    await Promise.race([Promise.all(all), delay(ACKNOWLEDGE_MS, undefined, { ref: false })]);
    isLate = true;
    return [...this.subscribed.keys()];
  }

  /** The listener has its acknowledgement: from now on it gets news of the tasks that this names (patterns/subscriptions, Acknowledgment). */
  begin(listener: TaskListener): void {
    this.listener = listener;
    for (const ref of this.early) void this.sendNews(ref);
    this.early.clear();
  }

  end(): void {
    this.listener = undefined;
    for (const unsubscribe of this.subscribed.values()) unsubscribe();
  }

  private async subscribeTo(ref: TaskRef): Promise<(() => void) | undefined> {
    const onNews = (news?: JsonObject) => {
      if (this.listener) void this.sendNews(ref, news);
      else this.early.add(ref);
    };
    if (ref.kind === 'bridged') return this.kept(ref)?.subscribe(() => onNews());
    if (ref.kind !== 'modern' || !(await this.isThere(ref))) return undefined;
    const { subscriptions, upstreams } = this.options;
    const subscription = subscriptions.of(ref, this.call, (name) => upstreams.get(name));
    const listener = (news: JsonObject) => {
      if (isSame(ref, news)) onNews(news);
    };
    const unsubscribe = () => subscription.unsubscribe(ref.upstreamId, listener);
    if (await subscription.subscribe(ref.upstreamId, listener)) return unsubscribe;
    unsubscribe();
    return undefined;
  }

  /** False where the server has another task or none under the id; true where it cannot say now. */
  private async isThere(ref: TaskRef): Promise<boolean> {
    try {
      const answered = await this.get(ref);
      return answered !== undefined && !isUnknown(answered.reply);
    } catch (failure) {
      return isTransient(failure);
    }
  }

  private async get(ref: TaskRef): Promise<UpstreamReply | undefined> {
    const upstream = this.options.upstreams.get(ref.target.server);
    return upstream && taskAt(upstream, ref, this.call).get();
  }

  private kept(ref: TaskRef): BridgedPresenter | undefined {
    const found = this.options.registry.get(ref);
    return found instanceof BridgedPresenter ? found : undefined;
  }

  private async sendNews(ref: TaskRef, news?: JsonObject): Promise<void> {
    const shown = await this.show(ref, news);
    if (!shown) return;
    this.send(ref, shown);
    if (isTerminal(shown.status)) this.subscribed.get(ref.id)?.();
  }

  /** The notification about a task: from `news` where there is any, else from its server. Undefined where the server cannot say. */
  private async show(ref: TaskRef, news?: JsonObject): Promise<JsonObject | undefined> {
    if (ref.kind === 'bridged') return this.kept(ref)?.describe();
    const described = news ?? (await this.get(ref).catch(() => undefined))?.reply.result;
    return described && presentNews(this.call, ref, described);
  }

  /** Policy may have changed since the subscription (wire.md, Subscriptions and notifications). */
  private send(ref: TaskRef, shown: JsonObject): void {
    if (this.subscribed.has(ref.id) && this.options.snapshots.permits(this.call, ref.target)) this.listener?.(shown);
  }
}

/** What modern servers notify of their tasks: one `subscriptions/listen` for each principal at each instance, for all its listeners. */
export class TaskSubscriptions {
  private readonly open = new Map<string, TaskSubscription>();

  /** The one for the principal at the instance of a task. Requests go to whichever server `upstreamOf` finds under the name at the time. */
  of(
    task: TaskRef,
    { principal, exchange }: CallerFacts,
    upstreamOf: (name: string) => Upstream | undefined,
  ): TaskSubscription {
    const { server } = task.target;
    const key = JSON.stringify([server, task.instance, principal.id]);
    const found = this.open.get(key);
    if (found) return found;
    // it outlives the call that began it
    const { capabilities } = exchange;
    const caller = { principal, exchange: { capabilities, signal: new Cancellation() } };
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
  /** One of the tasks: it leads to the instance. */
  readonly task: TaskRef;
  readonly caller: CallerFacts;
  readonly upstream: () => Upstream | undefined;
  /** Nobody listens any more. */
  readonly onEmpty: () => void;
}

/** One request that listens, sent again where the server ends it. */
class Stream {
  /** Ids of the tasks that the server notifies of. */
  acknowledged: ReadonlySet<string> = new Set();
  /** Resolves when the server has acknowledged something, or will not. */
  readonly answered = Promise.withResolvers<void>();
  readonly cancellation = new Cancellation();
}

class TaskSubscription {
  private readonly options: SubscriptionOptions;
  /** By the ids that the server knows. */
  private readonly listeners = new Map<string, Set<TaskListener>>();
  private stream: Stream | undefined;
  /** The stream that asks for more tasks and is to replace the one before; `opening` settles when it has, or could not. */
  private next: Stream | undefined;
  private opening: Promise<void> | undefined;

  constructor(options: SubscriptionOptions) {
    this.options = options;
  }

  /** Resolves with whether the server notifies of the task that it knows by this id; never throws. */
  async subscribe(id: string, listener: TaskListener): Promise<boolean> {
    const listeners = this.listeners.get(id) ?? new Set();
    if (listeners.size === 0 && this.listeners.size >= MAX_TASKS) return false;
    this.listeners.set(id, listeners.add(listener));
    // the stream that is being opened may not ask for it
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

  /** Asks for all tasks on a new stream, which replaces the one before once the server has acknowledged it. */
  private async reopen(): Promise<void> {
    const stream = (this.next = new Stream());
    await delay(GATHER_MS, undefined, { ref: false });
    void this.run(stream);
    await Promise.race([stream.answered.promise, delay(ACKNOWLEDGE_MS, undefined, { ref: false })]);
    this.opening = this.next = undefined;
    // tasks of a server that acknowledges nothing in time are left to polling
    if (stream.acknowledged.size === 0) stream.cancellation.abort();
    if (stream.cancellation.aborted) return;
    this.stream?.cancellation.abort();
    this.stream = stream;
  }

  /** Sends the request again and again, until nobody listens or the server refuses it. Then clients poll (tasks extension, Task Polling). */
  private async run(stream: Stream): Promise<void> {
    const { cancellation } = stream;
    const { task, caller, upstream } = this.options;
    const release = upstream()?.tasks.stand(task.instance, caller.principal.id);
    let goesOn = release !== undefined;
    for (
      let pauseMs = FIRST_PAUSE_MS;
      goesOn && !cancellation.aborted;
      pauseMs = Math.min(2 * pauseMs, MOST_PAUSE_MS)
    ) {
      const startedAt = performance.now();
      goesOn = await this.listen(stream);
      stream.answered.resolve();
      if (performance.now() - startedAt > MOST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
      if (goesOn) await pause(pauseMs, cancellation).catch(() => undefined); // nobody listens any more
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
  return new Set(ids.slice(0, MAX_TASKS).filter((id) => typeof id === 'string'));
}
