// Requests that never became a call: the first of each kind is recorded at once, further ones are counted, and the number of kinds is bounded.
import { expect, test } from 'vitest';
import { type ErrorCode, GatewayError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { Refusals } from '../../src/gateway/event-log.ts';

const unauthenticated = new GatewayError('unauthenticated', 'no token');

function told(now: () => number = () => 0) {
  const events: string[] = [];
  const details: JsonObject[] = [];
  const record = (event: string, detail: JsonObject) => {
    events.push(event);
    details.push(detail);
  };
  return { refusals: new Refusals(record, now), events, details };
}

test('the first refusal of an address is recorded, then one a minute with the count of all', () => {
  let now = 0;
  const { refusals, events, details } = told(() => now);

  for (let attempt = 0; attempt < 1_500; attempt++) refusals.add(unauthenticated, { address: '10.0.0.1' });
  refusals.add(unauthenticated, { address: '10.0.0.2' });
  now = 60_000;
  refusals.add(unauthenticated, { address: '10.0.0.1' });

  expect(details).toEqual([
    { address: '10.0.0.1', reason: 'no token', attempts: 1 },
    { address: '10.0.0.2', reason: 'no token', attempts: 1 },
    { address: '10.0.0.1', reason: 'no token', attempts: 1_500 },
  ]);
  expect(new Set(events)).toEqual(new Set(['authentication_failed']));
});

test('principals and reasons of one address are counted apart, at most 1,000 kinds at a time', () => {
  const { refusals, details } = told();
  const address = '10.0.0.1';
  const unknown = new GatewayError('session_unknown', 'x', { detail: 'unknown' });
  const foreign = new GatewayError('session_unknown', 'x', { detail: 'foreign' });
  for (let round = 0; round < 2; round++) {
    refusals.add(unknown, { address, principal: 'alice' });
    refusals.add(unknown, { address, principal: 'bob' });
    refusals.add(foreign, { address, principal: 'bob' });
  }
  expect(details.map(({ principal, reason }) => [principal, reason])).toEqual([
    ['alice', 'unknown'],
    ['bob', 'unknown'],
    ['bob', 'foreign'],
  ]);

  for (let index = 0; index < 1_000; index++) refusals.add(unknown, { address: `10.1.0.${index}` });
  refusals.add(unknown, { address, principal: 'alice' });
  expect(details).toHaveLength(3 + 1_000 + 1);
});

test.each<[ErrorCode, string]>([
  ['unauthenticated', 'authentication_failed'],
  ['forbidden_process', 'authentication_failed'],
  ['control_key_required', 'authentication_failed'],
  ['session_unknown', 'session_refused'],
])('%s is about who calls: the event is %s, and its reason what the operator is told', (code, event) => {
  const { refusals, events, details } = told();
  refusals.add(new GatewayError(code, 'for the caller'), {});
  refusals.add(new GatewayError(code, 'for the caller', { detail: 'for the operator' }), {});

  expect(events).toEqual([event, event]);
  expect(details.map(({ reason }) => reason)).toEqual(['for the caller', 'for the operator']);
});

test('malformed requests are one kind by their code, and nothing that a stranger wrote is recorded', () => {
  const { refusals, events, details } = told();
  for (let index = 0; index < 100; index++) {
    refusals.add(new GatewayError('method_not_found', `There is no method "x${index}".`), { address: '10.0.0.1' });
    refusals.add(new GatewayError('parse_error', `at ${index}`, { detail: `${index}` }), { address: '10.0.0.1' });
  }

  expect(new Set(events)).toEqual(new Set(['request_refused']));
  expect(details).toEqual([
    { address: '10.0.0.1', reason: 'method_not_found', attempts: 1 },
    { address: '10.0.0.1', reason: 'parse_error', attempts: 1 },
  ]);
});
