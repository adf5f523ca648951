// A call goes on however many rounds it takes; a state that is used again is a call again.
import { expect, test } from 'vitest';
import type { McpCall } from '../../../src/core/call.ts';
import { RetryRounds } from '../../../src/gateway/bridge/retry-rounds.ts';
import { type RequestState, RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { ECHO, makeCall } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

function world() {
  const states = new RequestStates(new Keyring(temporaryFolder()));
  const rounds = new RetryRounds(states);
  const goesOn = (call: McpCall) => rounds.has(call, ECHO);
  const first = makeCall();
  const retry = (state: RequestState): McpCall => {
    const requestState = states.seal(first, ECHO, state);
    return makeCall({ params: { ...first.params, requestState } });
  };
  return { goesOn, rounds, first, retry };
}

test('the rounds of a parked call go on with it, also those that come again', () => {
  const { goesOn, first, retry } = world();
  const round = retry({ parked: { key: 'k', round: 1 } });

  expect([first, round, round].map(goesOn)).toEqual([false, true, true]);
});

test("a modern server's state goes on with its call once, and is a call every time that it is used again", () => {
  const { goesOn, first, retry } = world();
  const [one, two] = [retry({ upstream: 'one' }), retry({ upstream: 'two' })];

  expect([first, one, one, two, one].map(goesOn)).toEqual([false, true, false, true, false]);
});

test('a state that is not of this call goes on with none, and neither does one of a legacy caller', () => {
  const { goesOn, rounds, retry } = world();
  const state = retry({ parked: { key: 'k', round: 1 } });

  expect(goesOn({ ...state, principal: { ...state.principal, id: 'somebody else' } })).toBe(false);
  expect(goesOn({ ...state, params: { ...state.params, requestState: 'x' } })).toBe(false);
  expect(goesOn({ ...state, era: 'legacy' })).toBe(false);
  expect(rounds.has(state, { ...ECHO, original: 'other' })).toBe(false);
  expect(goesOn(state)).toBe(true);
});
