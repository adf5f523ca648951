// Calls, their contexts and their ends, as tests and the processes that they start make them.
import { randomUUID } from 'node:crypto';
import { ALL_SERVERS, type McpCall, type Target } from '../../src/core/call.ts';
import { CallContext, type Settlement, statusOf, statusOfError } from '../../src/core/call-context.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Decision } from '../../src/core/decision.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { ownExchange } from '../../src/core/exchange.ts';
import { LOCAL } from '../../src/core/principal.ts';
import type { FinalReply } from '../../src/core/reply.ts';
import { compilePolicy, type PolicyEntry, rulesOfServer } from '../../src/policy/policy.ts';

export const ALLOWED: Decision = { allowed: true, rule: 'default', reason: 'nothing forbids it' };

export const ECHO: Target = { kind: 'tool', server: 'everything', exposed: 'everything__echo', original: 'echo' };

/** A tools/call of `everything__echo` by the local principal; what follows from its params, method and exchange follows from changed ones too. */
export function makeCall(changes: Partial<McpCall> = {}): McpCall {
  const { method = 'tools/call', exchange = ownExchange(new Cancellation().signal) } = changes;
  const { params = { name: ECHO.exposed, arguments: { message: 'a secret' } } } = changes;
  return {
    id: randomUUID(),
    kind: 'mcp',
    action: method,
    method,
    params,
    ...(params.arguments !== undefined && { args: params.arguments }),
    principal: LOCAL,
    endpoint: ALL_SERVERS,
    client: { name: 'test', version: '1' },
    address: '127.0.0.1',
    era: 'modern',
    revision: '2026-07-28',
    via: { era: 'modern', transport: 'streamable-http' },
    trace: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: '01' },
    startedAt: performance.now(),
    bytes: 123,
    heldBytes: 1_968,
    exchange,
    signal: exchange.signal,
    ...changes,
  };
}

const EVERYTHING = { allow: ['*'], deny: [] };

/** The entry of a server of which a policy permits everything, but for what is changed. */
export function policyEntry(name: string, changes: Partial<PolicyEntry> = {}): PolicyEntry {
  return { name, tools: EVERYTHING, prompts: EVERYTHING, resources: EVERYTHING, ...changes };
}

/** A context in which nothing was found out yet, under a policy on these servers. */
export function emptyContext(servers: readonly PolicyEntry[] = [policyEntry('everything')]): CallContext {
  return new CallContext({ policy: compilePolicy(servers.flatMap(rulesOfServer)).viewFor(makeCall()), config: 'c' });
}

/** The context of such a call, resolved and authorized. */
export function makeContext(
  changes: { [Field in 'target' | 'requested' | 'decision']?: CallContext[Field] } = {},
): CallContext {
  return Object.assign(emptyContext(), { target: ECHO, requested: ECHO.exposed, decision: ALLOWED }, changes);
}

/** How a call ends that is answered so, or fails so. */
export function settlementOf(outcome: FinalReply | GatewayError): Settlement {
  if (outcome instanceof GatewayError) return { status: statusOfError(outcome), failure: outcome };
  return { status: statusOf(outcome), reply: outcome, origin: outcome.origin };
}
