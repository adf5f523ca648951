// Failed authentications as events of the record: each address is told of at once, then counted, so that strangers cannot fill the log.

/** How long further failures of an address are only counted. */
const QUIET_MS = 60_000;

/** Most addresses that are told apart at a time. */
const MAX_ADDRESSES = 1_000;

export interface FailedAttempt {
  readonly address: string;
  readonly reason: string;
  /** Failures of this address since it was last told of, this one included. */
  readonly attempts: number;
}

/** Decides which failures are told: the first of an address, and then one a minute with the count of all. */
export class FailedAttempts {
  private readonly addresses = new Map<string, { toldAt: number; untold: number }>();
  private readonly tell: (attempt: FailedAttempt) => void;
  private readonly now: () => number;

  constructor(tell: (attempt: FailedAttempt) => void, now: () => number = () => performance.now()) {
    this.tell = tell;
    this.now = now;
  }

  add(address: string, reason: string): void {
    const now = this.now();
    const known = this.addresses.get(address);
    if (known && now - known.toldAt < QUIET_MS) {
      known.untold++;
      return;
    }
    const [oldest] = this.addresses.keys();
    if (!known && oldest !== undefined && this.addresses.size >= MAX_ADDRESSES) this.addresses.delete(oldest);
    this.addresses.set(address, { toldAt: now, untold: 0 });
    this.tell({ address, reason, attempts: (known?.untold ?? 0) + 1 });
  }
}
