// A state that was changed, stolen, or is too old opens nothing, and one that many use at once is spent once (all of it: test/long/states.test.ts).
import { afterAll, beforeAll, test } from 'vitest';
import { type Askers, startAskers } from './harness/askers.ts';
import { expectOneOutcome, expectRefused } from './harness/state-verdicts.ts';
import { raceState } from './harness/state-races.ts';
import { stealStates } from './harness/stolen-states.ts';

let askers: Askers;

beforeAll(async () => (askers = await startAskers()));
afterAll(() => askers.stop());

test('of 2,000 mutated and stolen states none is accepted, each is recorded, and whose they were get their outcomes', async () => {
  expectRefused(await stealStates(askers, 2_000), 2_000);
}, 120_000);

test('of 200 that race with one state, equal answers get the one outcome, others an error, and the server one answer', async () => {
  expectOneOutcome(await raceState(askers, 200), 200);
});
