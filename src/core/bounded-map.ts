// A map that stays small: what is added beyond its bound evicts the oldest entries.

export interface MapBounds<K, V> {
  /** The most that all values together may weigh. */
  readonly most: number;
  /** What a value weighs, which never changes; 1 where this is absent, so that `most` is a number of entries. */
  readonly weigh?: (value: V) => number;
  /** Told of each entry that was evicted. */
  readonly evicted?: (key: K, value: V) => void;
}

/** Age counts from the last `set`. Whoever wants the entries that are used to stay sets them again. */
export class BoundedMap<K, V> extends Map<K, V> {
  private readonly bounds: MapBounds<K, V>;
  private held = 0;
  /**
   * Where the oldest entry is. A new iterator passes over everything that was deleted since V8 last made the table anew; one that is kept
   * holds every table since then, with all that was in them. So one is kept until as many entries were added as there are.
   */
  private oldest: MapIterator<[K, V]> | undefined;
  private added = 0;

  constructor(bounds: MapBounds<K, V>) {
    super();
    this.bounds = bounds;
  }

  /** What all values weigh. */
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

  /** Returns whether there was an entry. */
  private evict(): boolean {
    const { value: entry } = (this.oldest ??= this.entries()).next();
    if (!entry) return false;
    this.delete(entry[0]);
    this.bounds.evicted?.(...entry);
    return true;
  }
}
