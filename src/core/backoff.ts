// Exponential backoff: pauses between attempts, each twice as long as the previous one.

export interface BackoffLimits {
  /** The first pause, in ms. */
  readonly firstMs: number;
  /** The longest pause, in ms. */
  readonly mostMs?: number;
}

/** The pause that follows `before` earlier pauses, in ms. */
export function doublingMs(before: number, { firstMs, mostMs = Infinity }: BackoffLimits): number {
  return Math.min(firstMs * 2 ** before, mostMs);
}

/** Counts the pauses between the attempts at one operation. */
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

  /** After a success: the next pause is the first one again. */
  reset(): void {
    this.pauses = 0;
  }
}
