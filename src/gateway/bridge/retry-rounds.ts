// Tells which request is a further round of a call that was counted before (wire.md, Questions 5).
import { createHash } from 'node:crypto';
import { BoundedMap } from '../../core/bounded-map.ts';
import type { McpCall, Target } from '../../core/call.ts';
import type { RequestStates } from './request-state.ts';

/** Most states of modern servers that are remembered as used. */
const MAX_USED = 10_000;

export class RetryRounds {
  private readonly states: RequestStates;
  private readonly used = new BoundedMap<string, true>({ most: MAX_USED });

  constructor(states: RequestStates) {
    this.states = states;
  }

  /**
   * Whether a request is a further round of a call. The state of a parked call is, however often the client sends it: it starts nothing. The
   * state of a modern server is at its first use only, because each use makes the server work.
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
