// Which requests are further rounds of a call, and which are new calls.
import { expect, test } from 'vitest';
import type { McpCall } from '../../../src/core/call.ts';
import { type RequestState, RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { ECHO, makeCall } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

function world() {
  const states = new RequestStates(new Keyring(temporaryFolder()));
  const goesOn = (call: McpCall) => states.isFurtherRound(call, ECHO);
  const first = makeCall();
  const retry = (state: RequestState): McpCall => {
    const requestState = states.seal(first, ECHO, state);
    return makeCall({ params: { ...first.params, requestState } });
  };
  return { goesOn, states, first, retry };
}

test('every retry of a parked call is a further round, also a repeated one', () => {
  const { goesOn, first, retry } = world();
  const round = retry({ parked: { key: 'k', round: 1 } });

  expect([first, round, round].map(goesOn)).toEqual([false, true, true]);
});

test("the first retry with a modern server's state is a further round, and each later one a new call", () => {
  const { goesOn, first, retry } = world();
  const [one, two] = [retry({ upstream: 'one' }), retry({ upstream: 'two' })];

  expect([first, one, one, two, one].map(goesOn)).toEqual([false, true, false, true, false]);
});

test('a request with the state of another call is a new call, and so is one of a legacy client', () => {
  const { goesOn, states, retry } = world();
  const state = retry({ parked: { key: 'k', round: 1 } });

  expect(goesOn({ ...state, principal: { ...state.principal, id: 'somebody else' } })).toBe(false);
  expect(goesOn({ ...state, params: { ...state.params, requestState: 'x' } })).toBe(false);
  expect(goesOn({ ...state, era: 'legacy' })).toBe(false);
  expect(states.isFurtherRound(state, { ...ECHO, original: 'other' })).toBe(false);
  expect(goesOn(state)).toBe(true);
});
