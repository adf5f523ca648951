// The tasks that the gateway keeps in memory: whose they are, how many there may be, and for how long (wire.md, Tasks).
import type { TaskRef } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { InFlight } from '../../core/in-flight.ts';
import { type JsonObject, numberOf } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import type { ForgetReason, TaskPresenter } from './task.ts';

/** Most tasks, in all and of one principal. */
const MAX_TASKS = 1_000;
const MAX_PER_PRINCIPAL = 100;

/** How long after its server names a task the task may still be added, in ms. */
const ADDED_WITHIN_MS = 1_000;

/** Most memory for the questions and results of all tasks, in bytes. Nobody's tasks may use more than stays free for others. */
const MAX_BYTES = 256 * 1024 * 1024;

/** How long a task is kept whose server names no time, and the longest for any. */
const DEFAULT_TTL_MS = 60 * 60_000;
const MAX_TTL_MS = 24 * 60 * 60_000;

/** Room for a task that is being made. */
export interface TaskReservation {
  /** Keeps the task for so many milliseconds. Throws `gateway_closed`, and cancels it, where the gateway is stopping. */
  keep(presenter: TaskPresenter, ttlMs: number): void;
  /** No task was made. Has no effect once one is kept. */
  release(): void;
}

interface Entry {
  readonly presenter: TaskPresenter;
  readonly expiry: NodeJS.Timeout;
}

export class TaskRegistry {
  /** Requests that cancel tasks at their servers: a gateway that stops waits for them. */
  readonly cancellations = new InFlight();
  private readonly entries = new Map<string, Entry>();
  /** Tasks that their servers named before they were added. */
  private readonly expected = new Map<string, PromiseWithResolvers<TaskPresenter | undefined>>();
  private readonly reservations = new Set<{ readonly principal: string }>();
  private readonly stopping: CancelSignal;

  /** `stopping` is aborted when the gateway stops. */
  constructor(stopping: CancelSignal) {
    this.stopping = stopping;
    stopping.onAbort(() => {
      for (const key of [...this.entries.keys()]) this.forget(key, 'stopped');
    });
  }

  /** Throws `overloaded` where there are too many tasks; the oldest that has ended makes room. */
  reserve({ id }: Principal): TaskReservation {
    if (!this.makeRoom(id))
      throw new GatewayError(
        'overloaded',
        `Too many tasks are kept for this caller (${MAX_PER_PRINCIPAL}), or in all (${MAX_TASKS}); wait for some to end.`,
      );
    const reservation = { principal: id };
    this.reservations.add(reservation);
    const release = () => void this.reservations.delete(reservation);
    const keep = (presenter: TaskPresenter, ttlMs: number) => {
      release();
      if (!this.stopping.aborted) {
        this.add(presenter, ttlMs);
        return;
      }
      void this.cancellations.track(presenter.task.forget('stopped'));
      throw new GatewayError(
        'gateway_closed',
        'The gateway is stopping, and the task that the call became is cancelled.',
      );
    };
    return { keep, release };
  }

  /** The task, if it is kept; not another one to which its server gave the same id since. */
  get(ref: TaskRef): TaskPresenter | undefined {
    const found = this.entries.get(keyOf(ref))?.presenter;
    return found?.task.ref.id === ref.id ? found : undefined;
  }

  /** Every task of a principal, the oldest first. */
  of({ id }: Principal): TaskPresenter[] {
    return [...this.entries.values()].map(({ presenter }) => presenter).filter(({ task }) => task.principal.id === id);
  }

  /** A server sends a notification about a task. */
  notified(server: string, instance: string, news: JsonObject): void {
    if (typeof news.taskId === 'string')
      this.entries.get(keyOf({ server, instance, upstreamId: news.taskId }))?.presenter.task.notified(news);
  }

  /** Who answers a question of a task; undefined where the task is not kept, or nobody will. */
  async asker(
    { server, instance, task }: { server: string; instance: string; task: string },
    signal: CancelSignal,
  ): Promise<Exchange | undefined> {
    const key = keyOf({ server, instance, upstreamId: task });
    const presenter = this.entries.get(key)?.presenter ?? (await this.expect(key));
    return presenter?.asker(signal);
  }

  /** An instance is gone, and its tasks with it. */
  lost(server: string, instance: string): void {
    for (const [key, { presenter }] of [...this.entries]) {
      const { ref } = presenter.task;
      const isThere = ref.target.server !== server || ref.instance !== instance;
      if (!isThere && !presenter.outlivesInstance) this.forget(key, 'lost');
    }
  }

  /**
   * Returns whether the tasks of a principal use no more memory than stays free. To get there, forgets those of its tasks that have ended, the
   * oldest first.
   */
  trim(principal: Principal): boolean {
    const all = [...this.entries.values()].map(({ presenter }) => presenter);
    const own = this.of(principal);
    // forgetting a task uses less and frees as much
    let excess = bytesOf(own) - (MAX_BYTES - bytesOf(all));
    for (const { task, bytes } of own) {
      if (excess <= 0) break;
      if (!task.ended || bytes === 0) continue;
      excess -= 2 * bytes;
      this.forget(keyOf(task.ref), 'crowded_out');
    }
    return excess <= 0;
  }

  /** A server may ask for a task before the gateway has read the answer that makes it. */
  private expect(key: string): Promise<TaskPresenter | undefined> {
    const expected = this.expected.get(key) ?? Promise.withResolvers<TaskPresenter | undefined>();
    this.expected.set(key, expected);
    setTimeout(() => {
      expected.resolve(undefined);
      if (this.expected.get(key) === expected) this.expected.delete(key);
    }, ADDED_WITHIN_MS);
    return expected.promise;
  }

  private add(presenter: TaskPresenter, ttlMs: number): void {
    const key = keyOf(presenter.task.ref);
    this.forget(key, 'replaced'); // a server that uses an id again means another task
    this.entries.set(key, { presenter, expiry: setTimeout(() => this.forget(key, 'expired'), ttlMs).unref() });
    this.expected.get(key)?.resolve(presenter);
    this.expected.delete(key);
  }

  private makeRoom(principal: string): boolean {
    const all = [...this.entries];
    const own = all.filter(([, { presenter }]) => presenter.task.principal.id === principal);
    const reserved = [...this.reservations].filter((other) => other.principal === principal).length;
    const isOwnFull = own.length + reserved >= MAX_PER_PRINCIPAL;
    if (!isOwnFull && all.length + this.reservations.size < MAX_TASKS) return true;
    const ended = (isOwnFull ? own : all).find(([, { presenter }]) => presenter.task.ended);
    if (ended) this.forget(ended[0], 'crowded_out');
    return ended !== undefined;
  }

  private forget(key: string, reason: ForgetReason): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    clearTimeout(entry.expiry);
    this.entries.delete(key);
    void this.cancellations.track(entry.presenter.task.forget(reason));
  }
}

/** How long a task is kept whose server says this of its time, in ms. */
export function keptMs(ttl: unknown): number {
  const ms = numberOf(ttl) ?? -1;
  return ms >= 0 ? Math.min(Math.trunc(ms), MAX_TTL_MS) : DEFAULT_TTL_MS;
}

/** A server's id of a task is one of its instance. */
function keyOf(task: TaskRef | { readonly server: string; readonly instance: string; readonly upstreamId: string }) {
  const server = 'target' in task ? task.target.server : task.server;
  return `${server}\n${task.instance}\n${task.upstreamId}`;
}

function bytesOf(presenters: readonly TaskPresenter[]): number {
  return presenters.reduce((sum, { bytes }) => sum + bytes, 0);
}
