// A call counts once, however many rounds it takes; a state that is used again is a call again.
import { expect, test } from 'vitest';
import type { Call, Target } from '../../../src/core/call.ts';
import { RetryRounds } from '../../../src/gateway/bridge/retry-rounds.ts';
import { type RequestState, RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import { InFlightMemory } from '../../../src/quota/in-flight-memory.ts';
import { CallLedger, quotaStage } from '../../../src/quota/count.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { makeCall } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

const TARGET: Target = { kind: 'tool', server: 'everything', exposed: 'everything__echo', original: 'echo' };

function world() {
  const states = new RequestStates(new Keyring(temporaryFolder()));
  const continuations = new RetryRounds(states);
  const ledger = new CallLedger();
  const stage = quotaStage({ ledger, room: new InFlightMemory(), goesOn: (call) => continuations.has(call) });
  const count = async (call: Call): Promise<number> => {
    await stage(call, () => Promise.resolve({ kind: 'result', result: {} }));
    return ledger.counts().reduce((sum, { calls }) => sum + calls, 0);
  };
  const first = makeCall({ target: TARGET });
  const retry = (state: RequestState): Call => {
    const requestState = states.seal(first, TARGET, state);
    return makeCall({ target: TARGET, params: { ...first.params, requestState } });
  };
  return { count, first, retry };
}

test('the rounds of a parked call count with it, also those that come again', async () => {
  const { count, first, retry } = world();
  const round = retry({ parked: { key: 'k', round: 1 } });

  expect(await count(first)).toBe(1);
  expect(await count(round)).toBe(1);
  expect(await count(round)).toBe(1);
});

test("a modern server's state counts with its call once, and again every time that it is used again", async () => {
  const { count, first, retry } = world();
  const [one, two] = [retry({ upstream: 'one' }), retry({ upstream: 'two' })];

  expect(await count(first)).toBe(1);
  expect(await count(one)).toBe(1);
  expect(await count(one)).toBe(2);
  expect(await count(two)).toBe(2);
  expect(await count(one)).toBe(3);
});

test('a state that is not of this call counts, and so does one of a legacy caller', async () => {
  const { count, retry } = world();
  const state = retry({ parked: { key: 'k', round: 1 } });

  expect(await count({ ...state, principal: { ...state.principal, id: 'somebody else' } })).toBe(1);
  expect(await count({ ...state, params: { ...state.params, requestState: 'x' } })).toBe(2);
  expect(await count({ ...state, era: 'legacy' })).toBe(3);
});
