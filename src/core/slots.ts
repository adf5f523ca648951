// A table of what is in flight, for the hot path: keys that are never given twice, and no garbage that holds on to other garbage.

// A Map or Set that is filled and emptied with every call makes a new inner table every few calls, and each old table points to the next:
// once one of them is old enough, everything that was in flight at such a moment is kept until the next full collection.

/** Slots that can be taken at once; the rest of a key counts how often its slot was given. */
const SLOTS = 2 ** 20;

/** Holds values under number keys, at most 1,048,576 at a time. A key of something that is gone finds nothing, also when its slot is taken again. */
export class Slots<T> {
  private readonly values: (T | undefined)[] = [];
  private readonly keys: number[] = [];
  private readonly free: number[] = [];
  private taken = 0;

  get size(): number {
    return this.taken;
  }

  /** Takes a slot and returns its key, a safe integer above zero. Throws RangeError when none is free. */
  add(value: T): number {
    const slot = this.free.pop() ?? this.values.length;
    if (slot >= SLOTS) throw new RangeError(`more than ${SLOTS} are in flight`);
    const key = (this.keys[slot] ?? slot) + SLOTS;
    this.keys[slot] = key;
    this.values[slot] = value;
    this.taken++;
    return key;
  }

  get(key: number): T | undefined {
    const slot = key % SLOTS;
    return this.keys[slot] === key ? this.values[slot] : undefined;
  }

  /** Gives the slot back and returns what was in it. */
  take(key: number): T | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const slot = key % SLOTS;
    this.values[slot] = undefined;
    this.free.push(slot);
    this.taken--;
    return value;
  }

  /** Gives every slot back and returns what was in them; their keys stay spent. */
  clear(): T[] {
    const all = this.all();
    this.values.forEach((value, slot) => {
      if (value !== undefined) this.take(this.keys[slot] ?? 0);
    });
    return all;
  }

  /** Everything that is in flight now; what is added or taken meanwhile does not matter. */
  all(): T[] {
    return this.values.filter((value) => value !== undefined);
  }
}
