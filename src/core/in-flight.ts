// What is in flight: work that is counted, tasks in order, values under keys that come once, and requests that wait for answers.
import { setImmediate as turn } from 'node:timers/promises';
import { within } from './cancellation.ts';
import { BOUNDS } from './bounds/bounds.ts';

export class InFlight {
  private count = 0;
  private readonly waiting = new Set<() => void>();

  private readonly settle = (): void => {
    if (--this.count === 0) for (const resolve of this.waiting) resolve();
  };

  get size(): number {
    return this.count;
  }

  /** Counts a promise until it settles, and returns it. A caller that awaits the returned promise continues after this object has stopped counting it. */
  track<T>(running: Promise<T>): Promise<T> {
    this.count++;
    void running.then(this.settle, this.settle);
    return running;
  }

  /** Resolves when nothing runs, or after `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    if (this.count === 0) return;
    const { promise: idle, resolve } = Promise.withResolvers<void>();
    this.waiting.add(resolve);
    await within(idle, limitMs, { ref: true });
    this.waiting.delete(resolve);
    await turn(); // the last answers are written in this turn of the event loop
  }
}

/** A task; it returns a promise where it takes several turns. Never throws, never rejects. */
export type Task = () => Promise<void> | void;

export class InOrder {
  private readonly waiting: Task[] = [];
  private busy = false;

  /** Whether a task is running over several turns. */
  get isBusy(): boolean {
    return this.busy;
  }

  /** Runs the task: at once, or after all earlier ones. */
  run(task: Task): void {
    if (this.busy) {
      this.waiting.push(task);
      return;
    }
    const running = task();
    if (running) void this.drain(running);
  }

  private async drain(running: Promise<void>): Promise<void> {
    this.busy = true;
    await running;
    for (let task = this.waiting.shift(); task; task = this.waiting.shift()) await task();
    this.busy = false;
  }
}

/** A source of bytes. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** Counts what is read of one source. Small messages cost one addition. */
export class ReadFairness {
  private bytes = 0;

  /**
   * Counts bytes that were read. When there were many, pauses the source until the next turn of the event loop, and until the tasks that
   * they led to are done.
   */
  read(bytes: number, source: Pausable, tasks?: InOrder): void {
    this.bytes += bytes;
    if (this.bytes < BOUNDS.readTurn) return;
    this.bytes = 0;
    source.pause();
    setImmediate(() => {
      if (tasks) tasks.run(() => void source.resume());
      else source.resume();
    });
  }
}

// A Map or Set to which every call adds an entry and removes it makes a new inner table every few calls, and each old table points to the
// next: once one of them is in the old generation, it retains all that was in flight then until the next full garbage collection.

/** The number of slots, and so the width of a slot in a key; the rest of a key counts how often its slot was used. */
const SLOTS = 2 ** 20;

/** Holds at most 1,048,576 values under numeric keys. The key of a removed value finds nothing, also when another value uses its slot. */
export class Slots<T> {
  private readonly values: (T | undefined)[] = [];
  private readonly keys: number[] = [];
  private readonly free: number[] = [];
  private used = 0;

  get size(): number {
    return this.used;
  }

  /** Adds a value and returns its key, a safe integer above zero. Throws RangeError where no slot is free. */
  add(value: T): number {
    const slot = this.free.pop() ?? this.values.length;
    if (slot >= SLOTS) throw new RangeError(`more than ${SLOTS} are in flight`);
    const key = (this.keys[slot] ?? slot) + SLOTS;
    this.keys[slot] = key;
    this.values[slot] = value;
    this.used++;
    return key;
  }

  get(key: number): T | undefined {
    const slot = key % SLOTS;
    return this.keys[slot] === key ? this.values[slot] : undefined;
  }

  /** Removes the value and returns it. */
  take(key: number): T | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const slot = key % SLOTS;
    this.values[slot] = undefined;
    this.free.push(slot);
    this.used--;
    return value;
  }

  /** Removes all values and returns them; their keys are not used again. */
  clear(): T[] {
    const all = this.all();
    this.values.forEach((value, slot) => {
      if (value !== undefined) this.take(this.keys[slot] ?? 0);
    });
    return all;
  }

  /** A copy of all values, which later changes do not affect. */
  all(): T[] {
    return this.values.filter((value) => value !== undefined);
  }
}

/** A request that waits for its answer. */
export class RequestInFlight<Request, Answer> {
  readonly request: Request;
  readonly answered: Promise<Answer>;
  private readonly resolve: (answer: Answer) => void;
  private readonly reject: (error: unknown) => void;
  private readonly close: () => boolean;

  /** `close` returns whether the request was still in flight. */
  constructor(request: Request, close: () => boolean) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.request = request;
    this.answered = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.close = close;
  }

  /** Resolves the answer. Returns false, and does nothing, where the request was settled before. */
  answer(answer: Answer): boolean {
    const isFirst = this.close();
    if (isFirst) this.resolve(answer);
    return isFirst;
  }

  /** Rejects the answer. Returns false, and does nothing, where the request was settled before. */
  fail(error: unknown): boolean {
    const isFirst = this.close();
    if (isFirst) this.reject(error);
    return isFirst;
  }
}

export interface InFlightLimit {
  readonly most: number;
  /** Makes the error for a request beyond the limit. */
  readonly full: () => Error;
}

/** Requests may be settled while its iterator is in use. */
export class RequestsInFlight<Key, Request, Answer> {
  private readonly limit: InFlightLimit | undefined;
  private readonly open = new Map<Key, RequestInFlight<Request, Answer>>();

  constructor(limit?: InFlightLimit) {
    this.limit = limit;
  }

  get size(): number {
    return this.open.size;
  }

  /** Puts a request in flight under a key that no other one in flight has. Throws `full` at the limit. */
  begin(key: Key, request: Request): RequestInFlight<Request, Answer> {
    if (this.limit && this.open.size >= this.limit.most) throw this.limit.full();
    const begun: RequestInFlight<Request, Answer> = new RequestInFlight<Request, Answer>(
      request,
      () => this.open.get(key) === begun && this.open.delete(key),
    );
    this.open.set(key, begun);
    return begun;
  }

  get(key: Key): RequestInFlight<Request, Answer> | undefined {
    return this.open.get(key);
  }

  [Symbol.iterator](): Iterator<[Key, RequestInFlight<Request, Answer>]> {
    return this.open[Symbol.iterator]();
  }
}
