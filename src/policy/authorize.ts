// The stage that refuses calls that policy denies, and filters lists by policy.
import type { Call } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import { explainDecision } from '../core/decision.ts';
import { excerpt, GatewayError, unknownTask } from '../core/errors.ts';
import type { ListReply } from '../core/reply.ts';
import type { Stage } from '../core/stage.ts';
import { UNKNOWN } from './policy.ts';

/**
 * Makes the one decision on a call, which its record has. It refuses with the answer to an unknown name (wire.md, Refusals), so that the
 * caller does not learn that the target exists. It filters lists by the same decisions.
 */
export const authorizeStage: Stage = (call, ctx, next) => {
  const { policy } = ctx.rules;
  const decision = policy.decide({ action: call.action, target: ctx.target, requested: ctx.requested });
  ctx.decision = decision;
  if (!decision.allowed) return Promise.reject(refusal(call, ctx));
  const answering = next(call, ctx);
  // only a call without a target can be answered with a list
  return ctx.target ? answering : answering.then((reply) => (reply.kind === 'list' ? visible(reply, ctx) : reply));
};

function visible(reply: ListReply, { rules }: CallContext): ListReply {
  const list = rules.policy.visible(reply.list);
  return list === reply.list ? reply : { ...reply, list };
}

/** The error says that no such target exists; only its detail, for the operator, has the decision. */
function refusal({ action }: Call, { requested = '', decision, task }: CallContext): GatewayError {
  const name = excerpt(requested);
  const detail = !decision || decision === UNKNOWN ? undefined : explainDecision(decision);
  if (action.startsWith('resources/'))
    return new GatewayError('resource_not_found', `Resource not found: ${name}`, { data: { uri: name }, detail });
  if (task) return unknownTask({ detail });
  if (action === 'prompts/get') return new GatewayError('unknown_target', `Unknown prompt: ${name}`, { detail });
  if (action === 'tools/call') return new GatewayError('unknown_target', `Unknown tool: ${name}`, { detail });
  return new GatewayError('unknown_target', `Nothing of this name is offered: ${name}`, { detail });
}
