// A map with a bound: an entry beyond it evicts the oldest entries.

export interface MapBounds<K, V> {
  /** The greatest weight of all values together. */
  readonly most: number;
  /** The weight of a value, which never changes; 1 where this is absent, so that `most` is a number of entries. */
  readonly weigh?: (value: V) => number;
  /** Called for each evicted entry. */
  readonly evicted?: (key: K, value: V) => void;
}

/** The age of an entry counts from its last `set`. To keep entries that are in use, set them again. */
export class BoundedMap<K, V> extends Map<K, V> {
  private readonly bounds: MapBounds<K, V>;
  private held = 0;
  /**
   * An iterator at the oldest entry. A new iterator passes over every entry that was deleted since V8 last rebuilt the table, and a kept
   * one retains every table since then. So the map keeps one iterator until it has added as many entries as it has.
   */
  private oldest: MapIterator<[K, V]> | undefined;
  private added = 0;

  constructor(bounds: MapBounds<K, V>) {
    super();
    this.bounds = bounds;
  }

  /** The weight of all values. */
  get weight(): number {
    return this.held;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    this.held += this.weightOf(value);
    if (++this.added > this.size) {
      this.added = 0;
      this.oldest = undefined;
    }
    while (this.held > this.bounds.most && this.evict());
    return this;
  }

  override delete(key: K): boolean {
    if (!this.has(key)) return false;
    this.held -= this.weightOf(this.get(key) as V);
    return super.delete(key);
  }

  override clear(): void {
    this.held = 0;
    this.oldest = undefined;
    super.clear();
  }

  private weightOf(value: V): number {
    return this.bounds.weigh?.(value) ?? 1;
  }

  /** Evicts the oldest entry. Returns false where there is none. */
  private evict(): boolean {
    const { value: entry } = (this.oldest ??= this.entries()).next();
    if (!entry) return false;
    this.delete(entry[0]);
    this.bounds.evicted?.(...entry);
    return true;
  }
}
