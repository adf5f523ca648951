// Bounds what the requests of calls in flight hold in memory: no caller may hold more than is free for the others.
import type { Call } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { FairShare } from '../core/fair-share.ts';

/** Most that the requests of all calls in flight take in memory, in bytes. */
const MAX_BYTES = 512 * 1024 * 1024;

type Holder = Pick<Call, 'principal' | 'heldBytes'>;

export class InFlightMemory {
  private readonly shares = new FairShare({ most: MAX_BYTES });

  /** Counts what the request of a call holds, until `leave`. */
  enter({ principal, heldBytes }: Holder): void {
    this.shares.take(principal.id, heldBytes);
  }

  leave({ principal, heldBytes }: Holder): void {
    this.shares.giveBack(principal.id, heldBytes);
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
