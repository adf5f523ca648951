// The stage that refuses what may not be called, and takes out of lists what may not be seen.
import type { Call } from '../core/call.ts';
import { type Decision, explainDecision } from '../core/decision.ts';
import { excerpt, GatewayError, unknownTask } from '../core/errors.ts';
import type { Offered, Reply } from '../core/reply.ts';
import type { Stage } from '../core/stage.ts';
import { LETTING_GO, type Policy, UNKNOWN, UNTARGETED } from './policy.ts';

/** Decides on a whole call: its target, or the lack of one. */
export function decideCall(policy: Policy, call: Call): Decision {
  if (call.method === 'resources/unsubscribe') return LETTING_GO;
  if (call.target) return policy.decide(call.target);
  // before it matters that the server is not there: what may not be called is not told to be unavailable either
  if (call.pendingDiscovery) return policy.decideAnew(call.pendingDiscovery);
  return call.requested === undefined ? UNTARGETED : UNKNOWN;
}

/**
 * Refuses with the answer that an unknown name gets (wire.md, Refusals), so that a refusal does not tell that the thing exists.
 * Lists are filtered by the same decision; a filtered list is kept per source list, since it only depends on that and the policy.
 */
export function authorizeStage(policy: Policy): Stage {
  const filtered = new WeakMap<readonly Offered[], readonly Offered[]>();
  return async (call, next) => {
    const decision = decideCall(policy, call);
    if (!decision.allowed) throw refusal(call, decision);
    const reply = await next(call);
    return reply.kind === 'list' ? visible(reply) : reply;
  };

  function visible(reply: Extract<Reply, { kind: 'list' }>): Reply {
    let entries = filtered.get(reply.entries);
    if (!entries) {
      entries = reply.entries.filter((entry) => policy.decide(entry).allowed);
      if (entries.length === reply.entries.length) entries = reply.entries;
      filtered.set(reply.entries, entries);
    }
    return entries === reply.entries ? reply : { ...reply, entries };
  }
}

/** The caller is told that there is no such thing; what denied it is for the program's log alone. */
function refusal(call: Call, decision: Decision): GatewayError {
  const name = excerpt(call.requested ?? '');
  const detail = decision === UNKNOWN ? undefined : explainDecision(decision);
  if (call.method.startsWith('resources/'))
    return new GatewayError('resource_not_found', `Resource not found: ${name}`, { data: { uri: name }, detail });
  if (call.task) return unknownTask({ detail });
  if (call.method === 'prompts/get') return new GatewayError('unknown_target', `Unknown prompt: ${name}`, { detail });
  if (call.method === 'tools/call') return new GatewayError('unknown_target', `Unknown tool: ${name}`, { detail });
  return new GatewayError('unknown_target', `Nothing of this name is offered: ${name}`, { detail });
}
