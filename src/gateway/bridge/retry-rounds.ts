// Distinguishes a retry, which quota does not count again, from a new call (wire.md, Questions 5).
import { createHash } from 'node:crypto';
import { BoundedMap } from '../../core/bounded-map.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall, Target } from '../../core/call.ts';
import type { RequestStates } from './request-state.ts';

export class RetryRounds {
  private readonly states: RequestStates;
  private readonly used = new BoundedMap<string, true>({ most: BOUNDS.usedRequestStates });

  constructor(states: RequestStates) {
    this.states = states;
  }

  /**
   * Whether a request is a further round of a call. A request with the state of a parked call always is, because it starts nothing at the
   * server. With the state of a modern server only the first is, because the server runs the call anew for each.
   */
  has(call: McpCall, target: Target): boolean {
    const { params } = call;
    if (params.requestState === undefined || call.era === 'legacy') return false;
    const state = this.states.valid(call, target);
    if (!state) return false;
    return state.parked !== undefined || this.isFirstUse(JSON.stringify(params.requestState));
  }

  private isFirstUse(state: string): boolean {
    const digest = createHash('sha256').update(state).digest('base64');
    if (this.used.has(digest)) return false;
    this.used.set(digest, true);
    return true;
  }
}
