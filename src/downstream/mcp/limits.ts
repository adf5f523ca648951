// What the client connections of one gateway share: the bounds, the budgets for all of them, and the clock of sessions.
import { type Bounds, BOUNDS } from '../../core/bounds/bounds.ts';
import { WriteBudget } from './write-queue.ts';
import { ReplayBudget } from './replay.ts';

export interface EndpointLimits {
  readonly bounds: Bounds;
  /** Counts what waits for all clients. */
  readonly writeBudget: WriteBudget;
  /** Counts the events that all sessions keep for replay. */
  readonly replayBudget: ReplayBudget;
  /** Milliseconds on a monotonic clock, by which sessions age. */
  readonly now: () => number;
}

/** A gateway makes one, and gives it to all its fronts. */
export function endpointLimits(bounds: Bounds = BOUNDS): EndpointLimits {
  return {
    bounds,
    writeBudget: new WriteBudget(bounds.writeMemory),
    replayBudget: new ReplayBudget(bounds.replayMemory),
    now: () => performance.now(),
  };
}
