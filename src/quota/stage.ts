// The stages that refuse calls for which there is no room, or no time.
import type { CancelSignal } from '../core/cancellation.ts';
import { GatewayError } from '../core/errors.ts';
import type { Stage } from '../core/stage.ts';
import type { InFlightMemory } from './in-flight-memory.ts';

/**
 * Counts what a call holds in memory until it is settled. Throws `shutting_down` once the gateway stops, but for what is done on behalf of a
 * call that it still finishes.
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

/** Throws `overloaded` where the calls of a principal hold more memory than is free for others. */
export function quotaStage(memory: Pick<InFlightMemory, 'require'>): Stage {
  return (call, ctx, next) => {
    memory.require(call.principal.id);
    return next(call, ctx);
  };
}
