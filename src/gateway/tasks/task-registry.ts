// Keeps the tasks at legacy servers in memory: by principal, in bounded number and size, for a bounded time (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { TaskRef } from '../../core/call.ts';
import { type CancelSignal, within } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { evictionFor, FairShare } from '../../core/fair-share.ts';
import { InFlight } from '../../core/in-flight.ts';
import { type JsonObject, numberOf } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import type { ForgetReason, TaskPresenter } from './task.ts';

/** A place for a task that is being made. */
export interface TaskReservation {
  /** Keeps the task for so many milliseconds. Where the gateway is stopping, cancels the task and throws `gateway_closed`. */
  keep(presenter: TaskPresenter, ttlMs: number): void;
  /** Frees the place where no task was made. Has no effect after `keep`. */
  release(): void;
}

interface Entry {
  readonly presenter: TaskPresenter;
  readonly expiry: NodeJS.Timeout;
}

/** A task that its server named before the gateway keeps it. */
interface ExpectedTask {
  /** Resolves with undefined where the gateway does not keep it soon. */
  readonly kept: Promise<TaskPresenter | undefined>;
  readonly resolve: (presenter: TaskPresenter) => void;
}

export class TaskRegistry {
  /** Requests that cancel tasks at their servers. The gateway waits for them before it stops the servers. */
  readonly cancellations = new InFlight();
  private readonly entries = new Map<string, Entry>();
  private readonly expected = new Map<string, ExpectedTask>();
  /** The places of kept and reserved tasks, by principal. */
  private readonly places = new FairShare({ most: BOUNDS.keptTasks, mostOfOne: BOUNDS.keptTasksOfPrincipal });
  private readonly stopping: CancelSignal;

  /** `stopping` is aborted when the gateway stops. */
  constructor(stopping: CancelSignal) {
    this.stopping = stopping;
    stopping.onAbort(() => {
      for (const key of [...this.entries.keys()]) this.forget(key, 'stopped');
    });
  }

  /** Reserves a place, if need be that of the oldest task that has ended. Throws `overloaded` where there is none. */
  reserve({ id }: Principal): TaskReservation {
    if (!this.makeRoom(id))
      throw new GatewayError(
        'overloaded',
        `Too many tasks are kept for this caller (${BOUNDS.keptTasksOfPrincipal}), or in all (${BOUNDS.keptTasks}); wait for some to end.`,
      );
    this.places.take(id);
    let isReserved = true;
    const release = () => {
      if (isReserved) this.places.giveBack(id);
      isReserved = false;
    };
    const keep = (presenter: TaskPresenter, ttlMs: number) => {
      if (!this.stopping.aborted) {
        isReserved = false; // the place is that of the kept task now
        this.add(presenter, ttlMs);
        return;
      }
      release();
      void this.cancellations.track(presenter.task.forget('stopped'));
      throw new GatewayError(
        'gateway_closed',
        'The gateway is stopping, and the task that the call became is cancelled.',
      );
    };
    return { keep, release };
  }

  /** The task, if it is kept; undefined also where its server has given the id to another task since. */
  get(ref: TaskRef): TaskPresenter | undefined {
    const found = this.entries.get(keyOf(ref))?.presenter;
    return found?.task.ref.id === ref.id ? found : undefined;
  }

  /** Every task of a principal, the oldest first. */
  of({ id }: Principal): TaskPresenter[] {
    return [...this.entries.values()].map(({ presenter }) => presenter).filter(({ task }) => task.principal.id === id);
  }

  /** Called when a server sends a notification about a task. */
  notified(server: string, instance: string, notification: JsonObject): void {
    const { taskId } = notification;
    if (typeof taskId === 'string')
      this.entries.get(keyOf({ server, instance, upstreamId: taskId }))?.presenter.task.notified(notification);
  }

  /** The exchange of the client that answers a question of a task; undefined where the task is not kept, or no client will answer. */
  async asker(
    { server, instance, task }: { server: string; instance: string; task: string },
    signal: CancelSignal,
  ): Promise<Exchange | undefined> {
    const key = keyOf({ server, instance, upstreamId: task });
    const presenter = this.entries.get(key)?.presenter ?? (await this.expect(key));
    return presenter?.asker(signal);
  }

  /** Called when an instance is gone, and its tasks with it. */
  lost(server: string, instance: string): void {
    for (const [key, { presenter }] of [...this.entries]) {
      const { ref } = presenter.task;
      const wasThere = ref.target.server === server && ref.instance === instance;
      if (wasThere && !presenter.outlivesInstance) this.forget(key, 'lost');
    }
  }

  /**
   * Forgets tasks of a principal that have ended, the oldest first, until its tasks hold no more memory than is free for others. Returns false
   * where that does not suffice.
   */
  trim({ id }: Principal): boolean {
    const { evicted, suffices } = evictionFor(this.entries, id, {
      most: BOUNDS.keptTaskBytes,
      look: ([, { presenter }]) => ({
        holder: presenter.task.principal.id,
        amount: presenter.bytes,
        evictable: presenter.task.ended !== undefined,
      }),
    });
    for (const [key] of evicted) this.forget(key, 'crowded_out');
    return suffices;
  }

  /** Waits for a task: a server may ask a question of it before the gateway has read the answer that makes it. */
  private expect(key: string): Promise<TaskPresenter | undefined> {
    const expected = this.expected.get(key);
    if (expected) return expected.kept;
    const { promise, resolve } = Promise.withResolvers<TaskPresenter>();
    const kept = within(promise, BOUNDS.expectedTask).finally(() => this.expected.delete(key));
    this.expected.set(key, { kept, resolve });
    return kept;
  }

  private add(presenter: TaskPresenter, ttlMs: number): void {
    const key = keyOf(presenter.task.ref);
    this.forget(key, 'replaced'); // the server has given the id to another task
    this.entries.set(key, { presenter, expiry: setTimeout(() => this.forget(key, 'expired'), ttlMs).unref() });
    this.expected.get(key)?.resolve(presenter);
  }

  private makeRoom(principal: string): boolean {
    const isFullFor = this.places.isFullFor(principal);
    if (!isFullFor && this.places.free > 0) return true;
    const ended = [...this.entries.values()]
      .map(({ presenter }) => presenter.task)
      .find((task) => task.ended && (!isFullFor || task.principal.id === principal));
    if (ended) this.forget(keyOf(ended.ref), 'crowded_out');
    return ended !== undefined;
  }

  private forget(key: string, reason: ForgetReason): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    clearTimeout(entry.expiry);
    this.entries.delete(key);
    this.places.giveBack(entry.presenter.task.principal.id);
    void this.cancellations.track(entry.presenter.task.forget(reason));
  }
}

/** How long the gateway keeps a task with this `ttl` of its server, in ms. */
export function keptMs(ttl: unknown): number {
  const ms = numberOf(ttl) ?? -1;
  return ms >= 0 ? Math.min(Math.trunc(ms), BOUNDS.keptTaskAge) : BOUNDS.keptTaskAgeDefault;
}

/** A server's id of a task is unique at its instance. */
function keyOf(task: TaskRef | { readonly server: string; readonly instance: string; readonly upstreamId: string }) {
  const server = 'target' in task ? task.target.server : task.server;
  return `${server}\n${task.instance}\n${task.upstreamId}`;
}
