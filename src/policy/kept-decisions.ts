// Keeps decisions by name, so that the patterns run once for each offered name and not for each call.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import type { Decision } from '../core/decision.ts';

/** Wraps `decide`: keeps its decisions by name, within `keptDecisions` and `keptDecisionName`. */
export function keepDecisions(decide: (name: string) => Decision): (name: string) => Decision {
  const kept = new BoundedMap<string, Decision>({ most: BOUNDS.keptDecisions });
  return (name) => {
    const known = kept.get(name);
    if (known) return known;
    const decision = decide(name);
    if (name.length <= BOUNDS.keptDecisionName) kept.set(name, decision);
    return decision;
  };
}
