// One of twenty servers does harm; whoever calls the other nineteen notices nothing (all of it, and with times: test/long/hostile.test.ts).
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SOME_HARMS } from './harness/harms.ts';
import { HEALTHY, Neighbours } from './harness/neighbours.ts';

const ROUNDS = 5;

let neighbours: Neighbours;
beforeAll(async () => (neighbours = await Neighbours.start()));
afterAll(() => neighbours.stop());

test.each(SOME_HARMS)('$title: the nineteen others are called and listed without an error', async ({ harm, ends }) => {
  const found = await neighbours.suffer(harm, { rounds: ROUNDS });

  expect(found.errors).toEqual([]);
  expect(found.answered).toBe(ROUNDS * HEALTHY);
  for (const end of found.harmed) expect(end).toMatch(ends);
  expect(found.risenMiB).toBeLessThan(96); // garbage not yet collected makes up to 50 on a busy machine
  expect(found.status.inFlight).toBe(0);
});
