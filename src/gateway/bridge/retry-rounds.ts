// Tells which request is a further round of a call that was counted before (wire.md, Questions 5).
import { createHash } from 'node:crypto';
import type { Call } from '../../core/call.ts';
import { BoundedMap } from '../../core/bounded-map.ts';
import type { RequestStates } from './request-state.ts';

/** Most states of modern servers that are remembered as used. */
const MAX_USED = 10_000;

/** Tells rounds from calls. */
export class RetryRounds {
  private readonly states: RequestStates;
  private readonly used = new BoundedMap<string, true>({ most: MAX_USED });

  constructor(states: RequestStates) {
    this.states = states;
  }

  /**
   * Whether a call goes on with one that was counted. The state of a parked call starts nothing, however often it comes; that of a
   * modern server makes the server work each time, so that only its first use is the same call.
   */
  has(call: Call): boolean {
    const { target, params } = call;
    if (params.requestState === undefined || !target || call.era === 'legacy') return false;
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
