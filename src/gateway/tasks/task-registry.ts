// Tasks at legacy servers, which live in memory: whose they are, how they stand, and how long they are kept (wire.md, Tasks).
import type { TaskRef } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { InFlight } from '../../core/in-flight.ts';
import { type JsonObject, numberOf } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';

/** Most tasks, in all and of one principal. */
const MAX_TASKS = 1_000;
const MAX_PER_PRINCIPAL = 100;

/** How long after its server speaks of a task the task may be made, in ms. */
const KEPT_WITHIN_MS = 1_000;

/** Most that questions and results take that are kept for whoever asks for them, in bytes. Nobody's may take more than is free for others. */
const MAX_BYTES = 256 * 1024 * 1024;

/** How long a task is kept whose server names no time, and the longest for any. */
const DEFAULT_TTL_MS = 60 * 60_000;
const MAX_TTL_MS = 24 * 60 * 60_000;

/** Why a task is forgotten: its time is over, there is no room for it, its instance is gone, its id is another's now, the gateway stops. */
export type Forgotten = 'expired' | 'crowded_out' | 'lost' | 'replaced' | 'stopped';

/** A task that is kept. */
export interface KeptTask {
  readonly ref: TaskRef;
  readonly principal: Principal;
  /** Whether it can no longer change. */
  readonly ended: boolean;
  /** Whether there is something to say of it when the instance that had it is gone. */
  readonly outlivesInstance: boolean;
  /** What its questions and what came of it take in memory, as far as they are kept here. */
  readonly bytes: number;
  /** Its server says how it stands, in the words of 2025-11-25. */
  changed(task: JsonObject): void;
  /** Whoever can be asked on its behalf, now or when somebody comes; undefined where nobody will. */
  asker(signal: CancelSignal): Promise<Exchange | undefined>;
  /** It is forgotten: whatever still runs for it is given up. Resolves when its server was told. Never throws. */
  close(why: Forgotten): Promise<void>;
}

/** A place for a task that is being made. */
export interface TaskPlace {
  /** Keeps the task for so many milliseconds. Throws `gateway_closed`, and cancels it, where the gateway is stopping. */
  keep(task: KeptTask, ttlMs: number): void;
  /** Nothing came of it. Means nothing once a task is kept. */
  giveBack(): void;
}

interface Entry {
  readonly task: KeptTask;
  readonly expiry: NodeJS.Timeout;
}

export class TaskRegistry {
  /** Tasks whose servers are being told that nobody wants them any more: a stop waits for that. */
  readonly leaving = new InFlight();
  private readonly entries = new Map<string, Entry>();
  /** Tasks that somebody asked for ahead of them. */
  private readonly awaited = new Map<string, PromiseWithResolvers<KeptTask | undefined>>();
  /** Places that are taken and not filled yet, by principal. */
  private readonly places = new Map<string, number>();

  private readonly stopping: CancelSignal;

  /** `stopping` is aborted when the gateway stops. */
  constructor(stopping: CancelSignal) {
    this.stopping = stopping;
    stopping.onAbort(() => {
      for (const key of [...this.entries.keys()]) this.forget(key, 'stopped');
    });
  }

  /** Takes a place. Throws `overloaded` where there are too many; tasks that ended make way, the oldest first. */
  reserve({ id }: Principal): TaskPlace {
    if (!this.makeRoom(id))
      throw new GatewayError(
        'overloaded',
        `Too many tasks are kept for this caller (${MAX_PER_PRINCIPAL}), or in all (${MAX_TASKS}); wait for some to end.`,
      );
    this.places.set(id, (this.places.get(id) ?? 0) + 1);
    let open = true;
    const giveBack = () => {
      if (!open) return;
      open = false;
      const left = (this.places.get(id) ?? 1) - 1;
      if (left > 0) this.places.set(id, left);
      else this.places.delete(id);
    };
    const keep = (task: KeptTask, ttlMs: number) => {
      giveBack();
      if (this.stopping.aborted) {
        void this.leaving.track(task.close('stopped'));
        throw new GatewayError(
          'gateway_closed',
          'The gateway is stopping, and the task that the call became is cancelled.',
        );
      }
      this.add(task, ttlMs);
    };
    return { keep, giveBack };
  }

  /** The task, if it is kept; not another one to which its server gave the same id since. */
  get({ id, target, instance, upstreamId }: TaskRef): KeptTask | undefined {
    const task = this.entries.get(keyOf(target.server, instance, upstreamId))?.task;
    return task?.ref.id === id ? task : undefined;
  }

  /** The server says how a task of this instance stands. */
  changed(server: string, instance: string, task: JsonObject): void {
    if (typeof task.taskId === 'string') this.entries.get(keyOf(server, instance, task.taskId))?.task.changed(task);
  }

  /** Whoever can be asked on behalf of a task, as its server names it; undefined where it is not kept. */
  async asker(
    named: { server: string; instance: string; task: string },
    signal: CancelSignal,
  ): Promise<Exchange | undefined> {
    const key = keyOf(named.server, named.instance, named.task);
    const task = this.entries.get(key)?.task ?? (await this.whenKept(key));
    return task?.asker(signal);
  }

  /** A server may ask before its answer that there is a task has been taken in. */
  private whenKept(key: string): Promise<KeptTask | undefined> {
    const awaited = this.awaited.get(key) ?? Promise.withResolvers<KeptTask | undefined>();
    this.awaited.set(key, awaited);
    setTimeout(() => {
      awaited.resolve(undefined);
      if (this.awaited.get(key) === awaited) this.awaited.delete(key);
    }, KEPT_WITHIN_MS);
    return awaited.promise;
  }

  /**
   * Returns whether the tasks of a principal take no more than is free; those that have ended are forgotten for it, the oldest first.
   */
  trim(principal: Principal): boolean {
    let all = bytesOf([...this.entries.values()].map(({ task }) => task));
    const own = this.of(principal);
    let held = bytesOf(own);
    for (const task of own) {
      if (held <= MAX_BYTES - all) break;
      if (!task.ended || task.bytes === 0) continue;
      held -= task.bytes;
      all -= task.bytes;
      this.forget(keyOfTask(task), 'crowded_out');
    }
    return held <= MAX_BYTES - all;
  }

  /** An instance is gone, and with it its tasks. */
  lost(server: string, instance: string): void {
    for (const [key, { task }] of [...this.entries]) {
      const { ref, outlivesInstance } = task;
      if (ref.target.server === server && ref.instance === instance && !outlivesInstance) this.forget(key, 'lost');
    }
  }

  /** Every task of a principal, the oldest first. */
  of({ id }: Principal): KeptTask[] {
    return [...this.entries.values()].map(({ task }) => task).filter(({ principal }) => principal.id === id);
  }

  private add(task: KeptTask, ttlMs: number): void {
    const key = keyOfTask(task);
    this.forget(key, 'replaced'); // a server that uses an id again means another task
    this.entries.set(key, { task, expiry: setTimeout(() => this.forget(key, 'expired'), ttlMs).unref() });
    this.awaited.get(key)?.resolve(task);
    this.awaited.delete(key);
  }

  private makeRoom(principal: string): boolean {
    const own = [...this.entries].filter(([, { task }]) => task.principal.id === principal);
    const isFull = this.entries.size + sum(this.places.values()) >= MAX_TASKS;
    const ownFull = own.length + (this.places.get(principal) ?? 0) >= MAX_PER_PRINCIPAL;
    if (!isFull && !ownFull) return true;
    const ended = (ownFull ? own : [...this.entries]).find(([, { task }]) => task.ended);
    if (ended) this.forget(ended[0], 'crowded_out');
    return ended !== undefined;
  }

  private forget(key: string, why: Forgotten): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    clearTimeout(entry.expiry);
    this.entries.delete(key);
    void this.leaving.track(entry.task.close(why));
  }
}

/** How long a task is kept whose server says this of its time, in ms. */
export function keptMs(ttl: unknown): number {
  const ms = numberOf(ttl) ?? -1;
  return ms >= 0 ? Math.min(Math.trunc(ms), MAX_TTL_MS) : DEFAULT_TTL_MS;
}

function keyOf(server: string, instance: string, upstreamId: string): string {
  return `${server}\n${instance}\n${upstreamId}`;
}

function keyOfTask({ ref }: KeptTask): string {
  return keyOf(ref.target.server, ref.instance, ref.upstreamId);
}

function bytesOf(tasks: readonly KeptTask[]): number {
  return sum(tasks.map(({ bytes }) => bytes));
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
