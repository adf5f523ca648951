// Bounds the memory of the requests of calls in flight, with the stages that refuse calls for lack of it, or because the gateway stops.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Call } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { FairShare } from '../core/fair-share.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { Stage } from '../core/call-context.ts';

type Holder = Pick<Call, 'principal' | 'heldBytes'>;

export class InFlightMemory {
  private readonly shares = new FairShare({ most: BOUNDS.heldRequests });

  /** Counts the memory of a call's request, until `leave`. */
  enter({ principal, heldBytes }: Holder): void {
    this.shares.take(principal.id, heldBytes);
  }

  leave({ principal, heldBytes }: Holder): void {
    this.shares.giveBack(principal.id, heldBytes);
  }

  /** Throws `overloaded` where the calls of a principal hold more than is free. A single call may always run. */
  require(principal: string): void {
    const { count, amount } = this.shares.of(principal);
    if (count <= 1 || amount <= this.shares.free) return;
    throw new GatewayError(
      'overloaded',
      'The requests of the calls that this caller has in flight take too much memory; wait until some have ended.',
    );
  }
}

/**
 * Counts the memory of a call until its settlement. Throws `shutting_down` once the gateway stops, except for a call on behalf of another
 * one that still runs.
 */
export function admitStage(memory: Pick<InFlightMemory, 'enter' | 'leave'>, stopping: CancelSignal): Stage {
  return (call, ctx, next) => {
    if (stopping.aborted && call.parent === undefined)
      return Promise.reject(new GatewayError('shutting_down', 'The gateway is stopping; try again when it is back.'));
    memory.enter(call);
    ctx.onSettled(() => memory.leave(call));
    return next(call, ctx);
  };
}

/** Throws `overloaded` where the calls of a principal hold more memory than is free for the others. */
export function quotaStage(memory: Pick<InFlightMemory, 'require'>): Stage {
  return (call, ctx, next) => {
    memory.require(call.principal.id);
    return next(call, ctx);
  };
}
