// Pauses between attempts, each twice as long as the one before.

export interface BackoffLimits {
  /** The first pause, in ms. */
  readonly firstMs: number;
  /** The longest pause, in ms. */
  readonly mostMs?: number;
}

/** The pause after `before` other pauses, in ms. */
export function doublingMs(before: number, { firstMs, mostMs = Infinity }: BackoffLimits): number {
  return Math.min(firstMs * 2 ** before, mostMs);
}

/** Counts the pauses of one thing that is tried again and again. */
export class Backoff {
  private readonly limits: BackoffLimits;
  private pauses = 0;

  constructor(limits: BackoffLimits) {
    this.limits = limits;
  }

  /** The pause before the next attempt, in ms. */
  next(): number {
    return doublingMs(this.pauses++, this.limits);
  }

  /** It held, or did what it was to do: the next pause is the first again. */
  reset(): void {
    this.pauses = 0;
  }
}
