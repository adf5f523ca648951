// States that are none, and races for one that is, for as many as it takes to believe it.
import { afterAll, beforeAll, test } from 'vitest';
import { type Askers, startAskers } from '../integration/harness/askers.ts';
import { expectOneOutcome, expectRefused } from '../integration/harness/state-verdicts.ts';
import { raceState } from '../integration/harness/state-races.ts';
import { stealStates } from '../integration/harness/stolen-states.ts';

let askers: Askers;

beforeAll(async () => (askers = await startAskers()));
afterAll(() => askers.stop());

test('of 10,000 mutated and stolen states none is accepted, each is recorded, and whose they were get their outcomes', async () => {
  expectRefused(await stealStates(askers, 10_000), 10_000);
});

test('1,000 races of four for one state, and one of 1,000: the server gets the answers once each time', async () => {
  for (let race = 0; race < 1_000; race++) expectOneOutcome(await raceState(askers, 4), 4);
  expectOneOutcome(await raceState(askers, 1_000), 1_000);
});
