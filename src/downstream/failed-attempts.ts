// Refused callers as events of the record: each address is told of at once, then counted, so that strangers cannot fill the log.

/** How long further failures of the same kind are only counted. */
const QUIET_MS = 60_000;

/** Most kinds of failures (of an address, a principal and a reason) that are told apart at a time. */
const MAX_KINDS = 1_000;

export interface FailedAttempt {
  readonly address: string;
  /** Who it was, where that is known. */
  readonly principal?: string;
  readonly reason: string;
  /** Failures of this kind since it was last told of, this one included. */
  readonly attempts: number;
}

/** Decides which failures are told: the first of a kind, and then one a minute with the count of all. */
export class FailedAttempts {
  private readonly kinds = new Map<string, { toldAt: number; untold: number }>();
  private readonly tell: (attempt: FailedAttempt) => void;
  private readonly now: () => number;

  constructor(tell: (attempt: FailedAttempt) => void, now: () => number = () => performance.now()) {
    this.tell = tell;
    this.now = now;
  }

  add(address: string, reason: string, principal?: string): void {
    const now = this.now();
    const kind = `${address}\n${principal ?? ''}\n${reason}`;
    const known = this.kinds.get(kind);
    if (known && now - known.toldAt < QUIET_MS) {
      known.untold++;
      return;
    }
    const [oldest] = this.kinds.keys();
    if (!known && oldest !== undefined && this.kinds.size >= MAX_KINDS) this.kinds.delete(oldest);
    this.kinds.set(kind, { toldAt: now, untold: 0 });
    const attempts = (known?.untold ?? 0) + 1;
    this.tell({ address, ...(principal !== undefined && { principal }), reason, attempts });
  }
}
