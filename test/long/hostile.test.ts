// One of twenty servers does harm in every way that there is, with limits as they are by default; what it costs the others is printed.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HARMS } from '../integration/harness/harms.ts';
import { HEALTHY, Neighbours } from '../integration/harness/neighbours.ts';

const ROUNDS = 50;

let neighbours: Neighbours;
beforeAll(async () => (neighbours = await Neighbours.start('16MiB')));
afterAll(() => neighbours.stop());

const at = (times: readonly number[], part: number) => Math.round(times[Math.floor((times.length - 1) * part)] ?? 0);

test.each(HARMS)(
  '$title: the nineteen others are called and listed without an error',
  async ({ title, harm, ends }) => {
    const found = await neighbours.suffer({ ...harm, ...('stdio' in harm && { bytes: 1 << 30 }) }, { rounds: ROUNDS });
    const { times, lists, risenMiB } = found;
    process.stdout.write(
      `${title}: p50 ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms, slowest list ${at(lists, 1)} ms, +${Math.round(risenMiB)} MiB\n`,
    );

    expect(found.errors).toEqual([]);
    expect(found.answered).toBe(ROUNDS * HEALTHY);
    for (const end of found.harmed) expect(end).toMatch(ends);
    expect(risenMiB).toBeLessThan(384);
    expect(found.status.inFlight).toBe(0);
  },
);
