// The stage that counts calls by principal and server; limits come to stand on the same counts.
import type { Call } from '../core/call.ts';
import type { Stage } from '../core/stage.ts';

/** Most distinct (principal, server) pairs that are counted apart; the rest share one line. */
const MAX_BUCKETS = 10_000;
const OTHERS = '(others)';

export interface CallCount {
  readonly principal: string;
  readonly server: string;
  readonly calls: number;
}

/** The ledger of calls since the start; the audit log is the record, this is a running total. */
export class CallLedger {
  private readonly buckets = new Map<string, { principal: string; server: string; calls: number }>();

  add(principal: string, server: string): void {
    const known = this.buckets.get(`${principal}\n${server}`);
    const bucket = known ?? this.open(principal, server);
    bucket.calls++;
  }

  private open(principal: string, server: string): { calls: number } {
    if (this.buckets.size >= MAX_BUCKETS && principal !== OTHERS)
      return this.buckets.get(`${OTHERS}\n${OTHERS}`) ?? this.open(OTHERS, OTHERS);
    const bucket = { principal, server, calls: 0 };
    this.buckets.set(`${principal}\n${server}`, bucket);
    return bucket;
  }

  counts(): CallCount[] {
    return [...this.buckets.values()].map((bucket) => ({ ...bucket }));
  }
}

/** Counts every call that authorization let through, before it is dispatched; `goesOn` tells of one that was counted before. */
export function quotaStage(ledger: CallLedger, goesOn: (call: Call) => boolean): Stage {
  return (call, next) => {
    if (!goesOn(call)) ledger.add(call.principal.id, call.target?.server ?? '');
    return next(call);
  };
}
