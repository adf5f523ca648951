// Something bounded that many hold parts of: who holds how much, and whether somebody holds more than is free for the others.

/** Most holders of nothing that are remembered: a table that is filled and emptied with every call makes garbage (see core/slots). */
const MAX_RESTING = 1_000;

/** What one holder has. */
export interface Share {
  /** How many parts. */
  readonly count: number;
  /** What they come to. */
  readonly amount: number;
}

const NOTHING: Share = { count: 0, amount: 0 };

export interface ShareLimits {
  /** The most that all holders together may have. */
  readonly most: number;
  /** The most that one holder may have, where a fixed limit stands in the place of what is free. */
  readonly mostOfOne?: number;
}

/** Counts what each holder takes and gives back. It refuses nothing: the owner asks first, in its own words. */
export class FairShare {
  private readonly most: number;
  private readonly mostOfOne: number;
  private readonly shares = new Map<string, { count: number; amount: number }>();
  private held = 0;

  constructor({ most, mostOfOne = Infinity }: ShareLimits) {
    this.most = most;
    this.mostOfOne = mostOfOne;
  }

  /** What all holders have. */
  get total(): number {
    return this.held;
  }

  /** What nobody has. */
  get free(): number {
    return this.most - this.held;
  }

  of(holder: string): Share {
    return this.shares.get(holder) ?? NOTHING;
  }

  /** Whether the holder has as much as one holder may have. */
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

  /** Gives back a part that was taken; `amount` is what `take` was told. */
  giveBack(holder: string, amount = 1): void {
    const share = this.shares.get(holder);
    if (!share) return;
    share.amount -= amount;
    this.held -= amount;
    if (--share.count === 0 && this.shares.size > MAX_RESTING) this.shares.delete(holder);
  }
}

/** A thing that is kept for somebody. */
export interface KeptThing {
  readonly holder: string;
  /** What it takes now. */
  readonly amount: number;
  /** Whether it may be evicted. */
  readonly evictable: boolean;
}

export interface Eviction<T> {
  /** What to evict, the oldest first. */
  readonly evicted: readonly T[];
  /** Whether the holder has no more than is free for the others once that is gone. */
  readonly suffices: boolean;
}

/**
 * Finds what a holder has to lose so that it has no more than is free for the others: for things whose size changes while they are kept, and
 * which are therefore measured anew by `look`. `all` stands in the order of age.
 */
export function evictionFor<T>(
  all: Iterable<T>,
  holder: string,
  { most, look }: { readonly most: number; readonly look: (thing: T) => KeptThing },
): Eviction<T> {
  let excess = -most;
  const candidates: { readonly thing: T; readonly amount: number }[] = [];
  for (const thing of all) {
    const { holder: whose, amount, evictable } = look(thing);
    excess += amount;
    if (whose !== holder) continue;
    excess += amount;
    if (evictable && amount > 0) candidates.push({ thing, amount });
  }
  const evicted: T[] = [];
  for (const { thing, amount } of candidates) {
    if (excess <= 0) break;
    excess -= 2 * amount; // it is no longer held, and is free as well
    evicted.push(thing);
  }
  return { evicted, suffices: excess <= 0 };
}
