// A call as tests and the processes that they start make it.
import { Cancellation } from '../../src/core/cancellation.ts';
import { ownExchange } from '../../src/core/exchange.ts';
import { randomUUID } from 'node:crypto';
import type { Call } from '../../src/core/call.ts';
import type { Decision } from '../../src/core/decision.ts';
import { LOCAL } from '../../src/core/principal.ts';

export const ALLOWED: Decision = { allowed: true, rule: 'default', reason: 'nothing forbids it' };

/** A tools/call of `everything__echo` by the local principal. */
export function makeCall(changes: Partial<Call> = {}): Call {
  const call: Call = {
    id: randomUUID(),
    method: 'tools/call',
    params: { name: 'everything__echo', arguments: { message: 'a secret' } },
    target: { kind: 'tool', server: 'everything', exposed: 'everything__echo', original: 'echo' },
    requested: 'everything__echo',
    principal: LOCAL,
    client: { name: 'test', version: '1' },
    address: '127.0.0.1',
    era: 'modern',
    revision: '2026-07-28',
    transport: 'streamable-http',
    trace: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: '01' },
    startedAt: performance.now(),
    bytes: 123,
    exchange: ownExchange(new Cancellation().signal),
  };
  return { ...call, ...changes };
}
