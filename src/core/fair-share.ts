// Fair share of something bounded: counts how much each holder has, so that no holder has more than is free for the others.
import { BOUNDS } from './bounds/bounds.ts';

/** The share of one holder. */
export interface Share {
  /** The number of its parts. */
  readonly count: number;
  /** Their sum. */
  readonly amount: number;
}

const NOTHING: Share = { count: 0, amount: 0 };

export interface ShareLimits {
  /** The limit of all holders together. */
  readonly most: number;
  /** A fixed limit of one holder; without it one holder may have as much as is free. */
  readonly mostOfOne?: number;
}

/** Counts what each holder takes and gives back. It refuses nothing: the owner checks first, and throws its own error. */
export class FairShare {
  private readonly most: number;
  private readonly mostOfOne: number;
  private readonly shares = new Map<string, { count: number; amount: number }>();
  private held = 0;

  constructor({ most, mostOfOne = Infinity }: ShareLimits) {
    this.most = most;
    this.mostOfOne = mostOfOne;
  }

  /** The amount that no holder has. */
  get free(): number {
    return this.most - this.held;
  }

  of(holder: string): Share {
    return this.shares.get(holder) ?? NOTHING;
  }

  /** Whether the holder has reached the limit of one holder. */
  isFullFor(holder: string): boolean {
    return this.of(holder).amount >= this.mostOfOne;
  }

  take(holder: string, amount = 1): void {
    let share = this.shares.get(holder);
    if (!share) this.shares.set(holder, (share = { count: 0, amount: 0 }));
    share.count++;
    share.amount += amount;
    this.held += amount;
  }

  /** Gives back a part; `amount` is the one given to `take`. */
  giveBack(holder: string, amount = 1): void {
    const share = this.shares.get(holder);
    if (!share) return;
    share.amount -= amount;
    this.held -= amount;
    // an idle holder keeps its entry: adding and removing one with every call makes garbage (see `Slots`)
    if (--share.count === 0 && this.shares.size > BOUNDS.idleShares) this.shares.delete(holder);
  }
}

/** Something that is kept for a holder. */
export interface KeptThing {
  readonly holder: string;
  /** Its present amount. */
  readonly amount: number;
  /** Whether it may be evicted. */
  readonly evictable: boolean;
}

export interface Eviction<T> {
  /** What to evict, the oldest first. */
  readonly evicted: readonly T[];
  /** Whether the holder has no more than is free for the others after the eviction. */
  readonly suffices: boolean;
}

/**
 * Finds what to evict of a holder so that it has no more than is free for the others. It is for things whose amount changes while they are
 * kept, so `look` measures each again. `all` is in the order of age.
 */
export function evictionFor<T>(
  all: Iterable<T>,
  holder: string,
  { most, look }: { readonly most: number; readonly look: (thing: T) => KeptThing },
): Eviction<T> {
  let excess = -most;
  const candidates: { readonly thing: T; readonly amount: number }[] = [];
  for (const thing of all) {
    const { holder: owner, amount, evictable } = look(thing);
    excess += amount;
    if (owner !== holder) continue;
    excess += amount;
    if (evictable && amount > 0) candidates.push({ thing, amount });
  }
  const evicted: T[] = [];
  for (const { thing, amount } of candidates) {
    if (excess <= 0) break;
    excess -= 2 * amount; // the holder has less, and more is free
    evicted.push(thing);
  }
  return { evicted, suffices: excess <= 0 };
}
