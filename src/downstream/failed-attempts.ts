// Decides which refusals of callers become events of the record: one is told at once, its like are counted, so that strangers cannot fill the log.
import { BoundedMap } from '../core/bounded-map.ts';

/** How long further failures of the same kind are only counted. */
const QUIET_MS = 60_000;

/** Most kinds of failures that are told apart; a kind is an address, a principal and a reason. */
const MAX_KINDS = 1_000;

export interface FailedAttempt {
  readonly address: string;
  /** Who it was, where that is known. */
  readonly principal?: string;
  readonly reason: string;
  /** Failures of this kind since it was last told of, this one included. */
  readonly attempts: number;
}

/** Tells of the first failure of a kind, and then of one a minute, with the count of all. */
export class FailedAttempts {
  private readonly kinds = new BoundedMap<string, { toldAt: number; untold: number }>({ most: MAX_KINDS });
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
    this.kinds.set(kind, { toldAt: now, untold: 0 });
    const attempts = (known?.untold ?? 0) + 1;
    this.tell({ address, ...(principal !== undefined && { principal }), reason, attempts });
  }
}
