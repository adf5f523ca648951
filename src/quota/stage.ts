// The stages that refuse calls for lack of memory, or because the gateway stops.
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError } from '../core/errors.ts';
import type { Stage } from '../core/stage.ts';
import type { InFlightMemory } from './in-flight-memory.ts';

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
