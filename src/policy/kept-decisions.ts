// Keeps decisions by name, so that the patterns run once for each thing that is offered and not for each call.
import { BoundedMap } from '../core/bounded-map.ts';
import type { Decision } from '../core/decision.ts';

/** Twice as many names as a server can offer at once (upstream/mcp/offer/read-offer.ts); one more evicts the oldest. */
export const MAX_KEPT = 20_000;

/** The longest name that is kept, in characters. A template matches every URI that a caller makes up for it, however long. */
export const MAX_KEPT_LENGTH = 1_024;

/** Makes each decision once, as long as it is kept. */
export function keepDecisions(decide: (name: string) => Decision): (name: string) => Decision {
  const kept = new BoundedMap<string, Decision>({ most: MAX_KEPT });
  return (name) => {
    const before = kept.get(name);
    if (before) return before;
    const decision = decide(name);
    if (name.length <= MAX_KEPT_LENGTH) kept.set(name, decision);
    return decision;
  };
}
