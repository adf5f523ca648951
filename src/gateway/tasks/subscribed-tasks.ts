// The tasks that one listener subscribes to, at all servers, and the notifications that it gets of them.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall, TaskRef } from '../../core/call.ts';
import { within } from '../../core/cancellation.ts';
import type { JsonObject } from '../../core/json.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { DispatchParts } from '../dispatch.ts';
import { BridgedPresenter } from './bridged-presenter.ts';
import { presentNotification } from './modern-presenter.ts';
import type { TaskListener } from './task-subscriptions.ts';
import { isSame, isTransient, isUnknown, taskAt } from './upstream-task.ts';

export class SubscribedTasks {
  private readonly call: McpCall;
  private readonly refs: readonly TaskRef[];
  private readonly parts: DispatchParts;
  /** How to unsubscribe from each task of the acknowledgement, by the ids of the listener. */
  private readonly subscribed = new Map<string, () => void>();
  private listener: TaskListener | undefined;
  /** Tasks that changed before the acknowledgement. The listener gets their latest state after it, because it must come first. */
  private readonly early = new Set<TaskRef>();

  /** `refs` are tasks of the caller. */
  constructor(call: McpCall, refs: readonly TaskRef[], parts: DispatchParts) {
    this.call = call;
    this.refs = refs;
    this.parts = parts;
  }

  /** Resolves with the ids of the tasks that the acknowledgement names. */
  async subscribe(): Promise<string[]> {
    let isLate = false;
    const all = this.refs.map(async (ref) => {
      const unsubscribe = await this.subscribeTo(ref);
      // the client polls a task whose server acknowledges the subscription too late
      if (isLate) unsubscribe?.();
      else if (unsubscribe) this.subscribed.set(ref.id, unsubscribe);
    });
    await within(Promise.all(all), BOUNDS.listenAcknowledgement);
    isLate = true;
    return [...this.subscribed.keys()];
  }

  /** Sends notifications from now on: the listener has its acknowledgement (patterns/subscriptions, Acknowledgment). */
  begin(listener: TaskListener): void {
    this.listener = listener;
    for (const ref of this.early) void this.notify(ref);
    this.early.clear();
  }

  end(): void {
    this.listener = undefined;
    for (const unsubscribe of this.subscribed.values()) unsubscribe();
  }

  private async subscribeTo(ref: TaskRef): Promise<(() => void) | undefined> {
    const onChange = (notification?: JsonObject) => {
      if (this.listener) void this.notify(ref, notification);
      else this.early.add(ref);
    };
    if (ref.kind === 'bridged') return this.kept(ref)?.subscribe(() => onChange());
    if (ref.kind !== 'modern' || !(await this.isThere(ref))) return undefined;
    const { tasks, upstreams } = this.parts;
    const subscription = tasks.subscriptions.of(ref, this.call, (name) => upstreams.get(name));
    const listener = (notification: JsonObject) => {
      if (isSame(ref, notification)) onChange(notification);
    };
    const unsubscribe = () => subscription.unsubscribe(ref.upstreamId, listener);
    if (await subscription.subscribe(ref.upstreamId, listener)) return unsubscribe;
    unsubscribe();
    return undefined;
  }

  /** Whether the server has the task under its id; true also where it cannot answer now. */
  private async isThere(ref: TaskRef): Promise<boolean> {
    try {
      const answered = await this.get(ref);
      return answered !== undefined && !isUnknown(answered.reply);
    } catch (failure) {
      return isTransient(failure);
    }
  }

  private async get(ref: TaskRef): Promise<UpstreamReply | undefined> {
    const upstream = this.parts.upstreams.get(ref.target.server);
    return upstream && taskAt(upstream, ref, this.call).get();
  }

  private kept(ref: TaskRef): BridgedPresenter | undefined {
    const found = this.parts.tasks.registry.get(ref);
    return found instanceof BridgedPresenter ? found : undefined;
  }

  /** Notifies the listener of a change, unless policy now denies the tool (wire.md, Subscriptions and notifications). */
  private async notify(ref: TaskRef, notification?: JsonObject): Promise<void> {
    const presented = await this.present(ref, notification);
    if (!presented) return;
    const isPermitted = this.parts.snapshots.permits(this.call, ref.target);
    if (this.subscribed.has(ref.id) && isPermitted) this.listener?.(presented);
    if (isTerminal(presented.status)) this.subscribed.get(ref.id)?.();
  }

  /** The notification for the listener, made of that of the server or else of its answer to `tasks/get`. Undefined where the server cannot answer. */
  private async present(ref: TaskRef, notification?: JsonObject): Promise<JsonObject | undefined> {
    if (ref.kind === 'bridged') return this.kept(ref)?.describe();
    const described = notification ?? (await this.get(ref).catch(() => undefined))?.reply.result;
    return described && presentNotification(this.call, ref, described);
  }
}
