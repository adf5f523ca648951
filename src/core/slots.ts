// A table of things in flight, for the hot path: it gives no key twice, and makes no garbage that retains other garbage.

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
