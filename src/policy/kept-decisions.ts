// Decisions that were made, by name: patterns are run once for each thing that is offered, not for each call.
import type { Decision } from '../core/decision.ts';

/** Twice as many names as a server can offer at once (upstream/mcp/offer/read-offer.ts); one more takes the place of the oldest. */
export const MAX_KEPT = 20_000;

/**
 * Characters of a name that is kept. Only what the catalog knows is decided on, but a template takes in every URI that a caller makes up to
 * fit it, however long.
 */
export const MAX_KEPT_LENGTH = 1_024;

/** Makes each decision once, as far as there is room to keep it. */
export function keepDecisions(decide: (name: string) => Decision): (name: string) => Decision {
  const kept = new Map<string, Decision>();
  return (name) => {
    const before = kept.get(name);
    if (before) return before;
    const decision = decide(name);
    if (name.length > MAX_KEPT_LENGTH) return decision;
    const [oldest] = kept.size >= MAX_KEPT ? kept.keys() : [];
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(name, decision);
    return decision;
  };
}
