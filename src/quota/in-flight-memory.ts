// What the requests of calls in flight hold: bounded in all, and nobody may hold more than is free for the others.
import type { Call } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { estimateHeap } from '../core/heap-estimate.ts';

/** Most that the requests of all calls in flight take in memory, in bytes. */
const MAX_BYTES = 512 * 1024 * 1024;

/** Up to this size a request counts as the most that its bytes can take in memory, which is cheaper than looking. */
const SMALL = 16 * 1024;
const MOST_PER_BYTE = 16;

/** Most principals without a call in flight that are remembered. */
const MAX_RESTING = 1_000;

interface Share {
  calls: number;
  bytes: number;
}

export class InFlightMemory {
  private readonly shares = new Map<string, Share>();
  private bytes = 0;

  /** Counts a call until `leave` is told what this returns: the bytes that its request takes. */
  enter({ principal, params, bytes }: Pick<Call, 'principal' | 'params' | 'bytes'>): number {
    const held = bytes <= SMALL ? bytes * MOST_PER_BYTE : estimateHeap(params);
    let share = this.shares.get(principal.id);
    if (!share) this.shares.set(principal.id, (share = { calls: 0, bytes: 0 }));
    share.calls++;
    share.bytes += held;
    this.bytes += held;
    return held;
  }

  leave(principal: string, held: number): void {
    const share = this.shares.get(principal);
    if (!share) return;
    share.bytes -= held;
    this.bytes -= held;
    if (--share.calls === 0 && this.shares.size > MAX_RESTING) this.shares.delete(principal);
  }

  /** Throws `overloaded` where the calls of a principal hold more than is free. One call alone always may. */
  require(principal: string): void {
    const share = this.shares.get(principal);
    if (!share || share.calls <= 1 || share.bytes <= MAX_BYTES - this.bytes) return;
    throw new GatewayError(
      'overloaded',
      'The requests of the calls that this caller has in flight take too much memory; wait until some have ended.',
    );
  }
}
