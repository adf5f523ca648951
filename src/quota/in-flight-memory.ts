// What the requests of calls in flight hold: bounded in all, and nobody may hold more than is free for the others.
import type { Call } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';

/** Most that the requests of all calls in flight take in memory, in bytes. */
const MAX_BYTES = 512 * 1024 * 1024;

/** Most principals without a call in flight that are remembered. */
const MAX_RESTING = 1_000;

type Holder = Pick<Call, 'principal' | 'heldBytes'>;

interface Share {
  calls: number;
  bytes: number;
}

export class InFlightMemory {
  private readonly shares = new Map<string, Share>();
  private bytes = 0;

  /** Counts what the request of a call holds, until `leave`. */
  enter({ principal, heldBytes: held }: Holder): void {
    let share = this.shares.get(principal.id);
    if (!share) this.shares.set(principal.id, (share = { calls: 0, bytes: 0 }));
    share.calls++;
    share.bytes += held;
    this.bytes += held;
  }

  leave({ principal, heldBytes: held }: Holder): void {
    const share = this.shares.get(principal.id);
    if (!share) return;
    share.bytes -= held;
    this.bytes -= held;
    if (--share.calls === 0 && this.shares.size > MAX_RESTING) this.shares.delete(principal.id);
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
