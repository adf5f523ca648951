// Whose instance is given up for those who wait, where none becomes free by itself: calls whose callers may never come back.
import type { Owner } from './affinity.ts';

/** What is looked at of an instance. */
export interface Occupied {
  readonly owner: Owner | undefined;
  /** Calls that run on it. */
  readonly calls: number;
  /** Since when all of them wait for callers who are not there, in monotonic ms; undefined where one does not. */
  readonly unattendedSince: number | undefined;
}

/**
 * The instance whose callers left it for longest, of the principal that has most instances; undefined where a call still runs, whose
 * instance becomes free, where nobody has more than one, or where none was left before `leftBefore`, in monotonic ms.
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
  // whoever wants another has itself to blame where nobody has more
  const [most] = [shares.get(wanting.principal) ?? [], ...shares.values()].sort((a, b) => b.length - a.length);
  if (!most || most.length < 2) return undefined;
  let oldest: T | undefined;
  let since = leftBefore;
  for (const instance of most)
    if (instance.unattendedSince !== undefined && instance.unattendedSince < since)
      [oldest, since] = [instance, instance.unattendedSince];
  return oldest;
}
