// Which instance is given up for those who wait.
import { expect, test } from 'vitest';
import type { Owner } from '../../../../src/upstream/mcp/instances/affinity.ts';
import { givingWay, type Occupied } from '../../../../src/upstream/mcp/instances/giving-way.ts';

const owner = (principal: string): Owner => ({ key: principal, label: principal, principal, capabilities: {} });
const left = (principal: string, unattendedSince: number): Occupied => ({
  owner: owner(principal),
  calls: 1,
  unattendedSince,
});
const running = (principal: string): Occupied => ({ owner: owner(principal), calls: 1, unattendedSince: undefined });
const needed = (principal: string): Occupied => ({ owner: owner(principal), calls: 0, unattendedSince: undefined });

const [alice, bob] = [owner('alice'), owner('bob')];

test('it is the one that was left for longest, of whoever has most', () => {
  const [first, oldest, theirs] = [left('alice', 2), left('alice', 1), left('bob', 0)];

  expect(givingWay([first, oldest, theirs], owner('carol'))).toBe(oldest);
  expect(givingWay([first, oldest, theirs], bob)).toBe(oldest);
  expect(givingWay([first, oldest, theirs], alice)).toBe(oldest);
});

test('it is the own where nobody has more', () => {
  const own = [left('alice', 5), left('alice', 6)];
  const theirs = [left('bob', 1), left('bob', 2)];

  expect(givingWay([...theirs, ...own], alice)).toBe(own[0]);
  expect(givingWay([...own, ...theirs], bob)).toBe(theirs[0]);
});

test('everybody keeps one, and nothing is given up while a call runs that ends by itself', () => {
  expect(givingWay([left('alice', 1), left('bob', 2)], owner('carol'))).toBeUndefined();
  expect(givingWay([left('alice', 1), left('alice', 2), running('bob')], owner('carol'))).toBeUndefined();
  expect(givingWay<Occupied>([], alice)).toBeUndefined();
});

test('an instance that nothing runs on but that is needed is not given up, and counts', () => {
  const own = left('alice', 1);

  expect(givingWay([needed('alice'), own], bob)).toBe(own);
  expect(givingWay([needed('alice'), needed('alice')], bob)).toBeUndefined();
});
