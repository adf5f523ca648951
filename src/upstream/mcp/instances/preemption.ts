// Chooses the parked call to preempt for a queued caller, if no instance becomes free by itself.
import type { Owner } from './affinity.ts';

/** The facts of an instance that decide. */
export interface Occupied {
  readonly owner: Owner | undefined;
  /** Calls that run on it. */
  readonly calls: number;
  /** Since when all of them are parked for callers who have not come back, in monotonic ms; undefined if one is not. */
  readonly unattendedSince: number | undefined;
}

/**
 * Of the principal that has most instances, the one whose callers have been away for longest. Undefined if a call runs somewhere, since its
 * instance becomes free; if nobody has more than one instance; or if no caller left before `leftBefore`, in monotonic ms.
 */
export function preemptable<T extends Occupied>(live: Iterable<T>, wanting: Owner, leftBefore: number): T | undefined {
  const shares = new Map<string, T[]>();
  for (const instance of live) {
    if (instance.calls > 0 && instance.unattendedSince === undefined) return undefined;
    const principal = instance.owner?.principal ?? '';
    const own = shares.get(principal);
    if (own) own.push(instance);
    else shares.set(principal, [instance]);
  }
  // among equals the principal that wants another instance comes first
  const [most] = [shares.get(wanting.principal) ?? [], ...shares.values()].sort((a, b) => b.length - a.length);
  if (!most || most.length < 2) return undefined;
  let oldest: T | undefined;
  let since = leftBefore;
  for (const instance of most)
    if (instance.unattendedSince !== undefined && instance.unattendedSince < since)
      [oldest, since] = [instance, instance.unattendedSince];
  return oldest;
}
