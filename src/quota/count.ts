// The stage that counts calls by principal and server, where there is room for them; limits come to stand on the same counts.
import type { Call } from '../core/call.ts';
import type { Stage } from '../core/stage.ts';
import type { InFlightMemory } from './in-flight-memory.ts';

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

export interface QuotaStageOptions {
  readonly ledger: CallLedger;
  readonly room: Pick<InFlightMemory, 'require'>;
  /** Tells of a call that was counted before. */
  readonly goesOn: (call: Call) => boolean;
}

/** Counts every call that authorization let through and that there is room for, before it is dispatched. */
export function quotaStage({ ledger, room, goesOn }: QuotaStageOptions): Stage {
  return (call, next) => {
    room.require(call.principal.id);
    if (!goesOn(call)) ledger.add(call.principal.id, call.target?.server ?? '');
    return next(call);
  };
}
