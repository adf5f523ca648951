// The tasks of one listener: news of them, from wherever the task is (tasks extension, Task Status Notifications).
import { setTimeout as delay } from 'node:timers/promises';
import type { McpCall, TaskRef } from '../../core/call.ts';
import type { JsonObject } from '../../core/json.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { withoutClientTasks } from '../../protocol/mcp/questions.ts';
import { checkDeclared } from '../bridge/declared-questions.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';
import { isSame, isUnknown, look, taskAt } from './upstream-task.ts';
import { ACKNOWLEDGE_MS } from './task-subscription.ts';
import { mayPass } from './await-task-result.ts';

/** Stops hearing of a task. */
type Leave = () => void;

export class SubscribedTasks {
  private readonly call: McpCall;
  private readonly parts: DispatchParts;
  private readonly refs: readonly TaskRef[];
  /** Those that the listener was told there will be news of, by its ids. */
  private readonly followed = new Map<string, Leave>();
  private listener: ((task: JsonObject) => void) | undefined;
  /** Those that changed before the acknowledgement was sent, which comes first. Only that they did is kept: how they stand is told then. */
  private readonly early = new Map<string, () => void>();

  /** `refs` are tasks of the caller. */
  constructor(call: McpCall, refs: readonly TaskRef[], parts: DispatchParts) {
    this.call = call;
    this.parts = parts;
    this.refs = refs;
  }

  /** Begins to listen. Resolves with the ids that there will be news of. */
  async follow(): Promise<string[]> {
    const followed = this.refs.map(async (ref) => {
      const leave = ref.kind === 'bridged' ? this.followBridged(ref) : await this.followInTime(ref);
      if (leave) this.followed.set(ref.id, leave);
    });
    await Promise.all(followed);
    return [...this.followed.keys()];
  }

  /** The acknowledgement is sent: news may follow it, of what it names alone (patterns/subscriptions, Acknowledgment). */
  notify(listener: (task: JsonObject) => void): void {
    this.listener = listener;
    for (const tellNow of this.early.values()) tellNow();
    this.early.clear();
  }

  end(): void {
    this.listener = undefined;
    for (const leave of this.followed.values()) leave();
  }

  private followBridged(ref: TaskRef): Leave | undefined {
    const task = this.parts.tasks.bridged(ref);
    const tell = () => task && this.deliver(ref, task.described());
    return task?.onChange(() => (this.listener ? tell() : this.early.set(ref.id, tell)));
  }

  /** One that its server agrees too late to tell of is polled by whoever asked. */
  private async followInTime(ref: TaskRef): Promise<Leave | undefined> {
    const agreed = this.followAtServer(ref);
    const first = await Promise.race([agreed, delay(ACKNOWLEDGE_MS, 'late' as const, { ref: false })]);
    if (first !== 'late') return first;
    void agreed.then((leave) => leave?.());
    return undefined;
  }

  private async followAtServer(ref: TaskRef): Promise<Leave | undefined> {
    const { parts, call } = this;
    if (ref.kind !== 'modern' || !(await this.isThere(ref))) return undefined;
    const listen = parts.tasks.listens.of(ref, call, (server) => parts.upstreams.get(server));
    const news = (task: JsonObject) => this.hear(ref, task);
    const leave = () => listen.leave(ref.upstreamId, news);
    if (await listen.follow(ref.upstreamId, news)) return leave;
    leave();
    return undefined;
  }

  /** A task that is not, or no longer, the one that is meant is as one that never was. One of which its server cannot speak now may be there. */
  private async isThere(ref: TaskRef): Promise<boolean> {
    try {
      const standing = await this.look(ref);
      return standing !== undefined && !isUnknown(standing);
    } catch (failure) {
      return mayPass(failure);
    }
  }

  private look(ref: TaskRef): Promise<WireReply | undefined> {
    const upstream = this.parts.upstreams.get(ref.target.server);
    return upstream ? look(taskAt(upstream, ref, this.call)) : Promise.resolve(undefined);
  }

  private hear(ref: TaskRef, task: JsonObject): void {
    if (!isSame(ref, task)) return;
    if (!this.listener) this.early.set(ref.id, () => void this.tellStanding(ref));
    else this.tellOf(ref, task);
  }

  /** Where the server cannot say how a task stands, there is nothing to tell before it changes again. */
  private async tellStanding(ref: TaskRef): Promise<void> {
    const standing = await this.look(ref).catch(() => undefined);
    if (standing?.result) this.tellOf(ref, standing.result);
  }

  private tellOf(ref: TaskRef, { resultType: _complete, ...task }: JsonObject): void {
    if (this.asksUndeclared(ref, task)) return;
    this.deliver(ref, { ...withoutClientTasks(withoutProtocolMeta(task)), taskId: ref.id });
    if (isTerminal(task.status)) this.followed.get(ref.id)?.();
  }

  /** News that ask what the listener did not declare are not told: whoever polls the task is told why. */
  private asksUndeclared({ target }: TaskRef, task: JsonObject): boolean {
    try {
      checkDeclared(this.call, target.server, task);
      return false;
    } catch {
      return true;
    }
  }

  /** Nobody hears of what was denied since (wire.md, Subscriptions and notifications). */
  private deliver(ref: TaskRef, task: JsonObject): void {
    if (this.followed.has(ref.id) && this.parts.snapshots.permits(this.call, ref.target)) this.listener?.(task);
  }
}
