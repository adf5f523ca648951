// Bounds what the requests of calls in flight hold in memory: no caller may hold more than is free for the others.
import type { Call } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { FairShare } from '../core/fair-share.ts';
import { estimateHeap } from '../core/heap-estimate.ts';

/** Most that the requests of all calls in flight take in memory, in bytes. */
const MAX_BYTES = 512 * 1024 * 1024;

/** Up to this size a request counts as the most that its bytes can take in memory: that is cheaper than to measure it. */
const SMALL = 16 * 1024;
const MOST_PER_BYTE = 16;

export class InFlightMemory {
  private readonly shares = new FairShare({ most: MAX_BYTES });

  /** Counts a call until `leave` is told what this returns: the bytes that its request takes. */
  enter({ principal, params, bytes }: Pick<Call, 'principal' | 'params' | 'bytes'>): number {
    const held = bytes <= SMALL ? bytes * MOST_PER_BYTE : estimateHeap(params);
    this.shares.take(principal.id, held);
    return held;
  }

  leave(principal: string, held: number): void {
    this.shares.giveBack(principal, held);
  }

  /** Throws `overloaded` where the calls of a principal hold more than is free. One call alone always may. */
  require(principal: string): void {
    const { count, amount } = this.shares.of(principal);
    if (count <= 1 || amount <= this.shares.free) return;
    throw new GatewayError(
      'overloaded',
      'The requests of the calls that this caller has in flight take too much memory; wait until some have ended.',
    );
  }
}
