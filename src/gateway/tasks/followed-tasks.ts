// The tasks of one listener: news of them, from wherever the task is (tasks extension, Task Status Notifications).
import { setTimeout as delay } from 'node:timers/promises';
import type { Call, TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { ownExchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { withoutClientTasks } from '../../protocol/mcp/questions.ts';
import type { Upstream } from '../../upstream/mcp/upstream.ts';
import { checkDeclared } from '../bridge/declared-questions.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import { isSame, requireSame, sendToTask } from './at-server.ts';

/** How long the acknowledgement waits for servers to say which tasks they tell of. */
const ACKNOWLEDGE_MS = 2_000;

/** The pause before a listening that its server ended is begun again, in ms; doubled each time, up to the most. */
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 60_000;

/** Those that one instance of a server has, by the server's ids. */
interface Group {
  readonly upstream: Upstream;
  readonly refs: Map<string, TaskRef>;
  /** Aborted when nobody wants to hear of them any more. */
  readonly over: Cancellation;
}

export class FollowedTasks {
  private readonly call: Call;
  private readonly parts: DispatchParts;
  private readonly bridged: readonly TaskRef[];
  private readonly groups: readonly Group[];
  /** Ids of those that the listener was told there will be news of. */
  private acknowledged: ReadonlySet<unknown> = new Set();
  private readonly backs: (() => void)[] = [];
  /** News that came before the acknowledgement was sent, which comes first. */
  private early: JsonObject[] | undefined = [];
  private listener: (task: JsonObject) => void = (task) => this.early?.push(task);

  /** `refs` are tasks of the caller. */
  constructor(call: Call, refs: readonly TaskRef[], parts: DispatchParts) {
    this.call = call;
    this.parts = parts;
    this.bridged = refs.filter(({ kind }) => kind === 'bridged');
    this.groups = grouped(
      refs.filter(({ kind }) => kind === 'modern'),
      parts,
    );
  }

  /** Begins to listen. Resolves with the ids that there will be news of. */
  async follow(): Promise<string[]> {
    const ids: string[] = [];
    for (const ref of this.bridged) {
      const task = this.parts.tasks.bridged(ref);
      if (!task) continue;
      ids.push(ref.id);
      this.backs.push(task.onChange(() => this.listener(task.described())));
    }
    const accepted = await Promise.all(this.groups.map((group) => this.listenAt(group)));
    ids.push(...accepted.flat());
    this.acknowledged = new Set(ids);
    return ids;
  }

  /** The acknowledgement is sent: news may follow it, of what it names alone (patterns/subscriptions, Acknowledgment). */
  tell(listener: (task: JsonObject) => void): void {
    this.listener = (task) => {
      if (this.acknowledged.has(task.taskId)) listener(task);
    };
    this.early?.forEach(this.listener);
    this.early = undefined;
  }

  end(): void {
    for (const { over } of this.groups) over.abort();
    for (const back of this.backs) back();
  }

  /**
   * Listens at one server until the end; resolves as soon as it has acknowledged, with what it did. One that acknowledges nothing in time
   * is not listened to: whoever asks polls it.
   */
  private async listenAt(group: Group): Promise<string[]> {
    const acknowledged = Promise.withResolvers<string[]>();
    void this.listenOn(group, acknowledged.resolve);
    const accepted = await Promise.race([acknowledged.promise, delay(ACKNOWLEDGE_MS, [] as string[], { ref: false })]);
    if (accepted.length === 0) group.over.abort();
    return accepted;
  }

  /** A task that is not, or no longer, the one that is meant is as one that never was. */
  private async leaveOutOthers(upstream: Upstream, refs: Map<string, TaskRef>, ref: TaskRef): Promise<void> {
    await requireSame(upstream, ref, this.call).catch(() => refs.delete(ref.upstreamId));
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

  private async listenOn({ upstream, refs, over }: Group, acknowledge: (ids: string[]) => void): Promise<void> {
    await Promise.all([...refs.values()].map((ref) => this.leaveOutOthers(upstream, refs, ref)));
    const open = new Map(refs);
    const [task] = open.values();
    if (!task) acknowledge([]);
    const onNotification = (method: string, params: JsonObject) => {
      if (method === 'notifications/subscriptions/acknowledged') acknowledge(acceptedOf(params, open));
      const ref = typeof params.taskId === 'string' ? open.get(params.taskId) : undefined;
      if (method !== 'notifications/tasks' || !ref || !isSame(ref, params)) return;
      if (isTerminal(params.status)) open.delete(ref.upstreamId);
      if (this.asksUndeclared(ref, params)) return;
      this.listener({ ...withoutClientTasks(withoutProtocolMeta(params)), taskId: ref.id });
    };
    for (
      let pause = FIRST_PAUSE_MS;
      task && open.size > 0 && !over.aborted;
      pause = Math.min(2 * pause, MOST_PAUSE_MS)
    ) {
      const request = {
        method: 'subscriptions/listen',
        params: { notifications: { taskIds: [...open.keys()] } },
        totalMs: Infinity,
        capabilities: {},
        tasks: true,
        exchange: ownExchange(over.signal),
        onNotification,
      };
      // a server that is gone, or refuses, is a reason to poll, which any client may (tasks extension, Task Polling)
      const sent = sendToTask(upstream, { task, request, caller: this.call });
      const answered = await sent.catch(() => undefined);
      acknowledge([]);
      if (answered?.reply.error) return;
      await delay(pause, undefined, { ref: false });
    }
  }
}

function grouped(refs: readonly TaskRef[], parts: DispatchParts): Group[] {
  const groups = new Map<string, Group>();
  for (const ref of refs) {
    const upstream = parts.upstream(ref.target.server);
    if (!upstream) continue;
    const key = `${ref.target.server}\n${ref.instance}`;
    const group = groups.get(key) ?? { upstream, refs: new Map<string, TaskRef>(), over: new Cancellation() };
    group.refs.set(ref.upstreamId, ref);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The ids of ours for those that a server agreed to tell of. */
function acceptedOf({ notifications }: JsonObject, refs: ReadonlyMap<string, TaskRef>): string[] {
  const ids = isObject(notifications) && Array.isArray(notifications.taskIds) ? notifications.taskIds : [];
  return ids
    .map((id) => (typeof id === 'string' ? refs.get(id)?.id : undefined))
    .filter((id): id is string => id !== undefined);
}
