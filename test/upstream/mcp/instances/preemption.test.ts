// Which parked call is preempted for a queued caller.
import { expect, test } from 'vitest';
import type { Owner } from '../../../../src/upstream/mcp/instances/affinity.ts';
import { preemptable, type Occupied } from '../../../../src/upstream/mcp/instances/owner-pool.ts';

const owner = (principal: string): Owner => ({ key: principal, label: principal, principal, capabilities: {} });
const left = (principal: string, unattendedSince: number): Occupied => ({
  owner: owner(principal),
  calls: 1,
  unattendedSince,
});
const running = (principal: string): Occupied => ({ owner: owner(principal), calls: 1, unattendedSince: undefined });
const needed = (principal: string): Occupied => ({ owner: owner(principal), calls: 0, unattendedSince: undefined });

/** When everybody has had time to answer. */
const NOW = 100;

const [alice, bob] = [owner('alice'), owner('bob')];

test('it is the one that was left for longest, of whoever has most', () => {
  const [first, oldest, theirs] = [left('alice', 2), left('alice', 1), left('bob', 0)];

  expect(preemptable([first, oldest, theirs], owner('carol'), NOW)).toBe(oldest);
  expect(preemptable([first, oldest, theirs], bob, NOW)).toBe(oldest);
  expect(preemptable([first, oldest, theirs], alice, NOW)).toBe(oldest);
});

test('it is the own where nobody has more', () => {
  const own = [left('alice', 5), left('alice', 6)];
  const theirs = [left('bob', 1), left('bob', 2)];

  expect(preemptable([...theirs, ...own], alice, NOW)).toBe(own[0]);
  expect(preemptable([...own, ...theirs], bob, NOW)).toBe(theirs[0]);
});

test('everybody keeps one, and nothing is given up while a call runs that ends by itself', () => {
  expect(preemptable([left('alice', 1), left('bob', 2)], owner('carol'), NOW)).toBeUndefined();
  expect(preemptable([left('alice', 1), left('alice', 2), running('bob')], owner('carol'), NOW)).toBeUndefined();
  expect(preemptable<Occupied>([], alice, NOW)).toBeUndefined();
});

test('an instance that nothing runs on but that is needed is not given up, and counts', () => {
  const own = left('alice', 1);

  expect(preemptable([needed('alice'), own], bob, NOW)).toBe(own);
  expect(preemptable([needed('alice'), needed('alice')], bob, NOW)).toBeUndefined();
});

test('whoever was asked a moment ago has time to answer', () => {
  const [first, second] = [left('alice', 5), left('alice', 6)];

  expect(preemptable([first, second], bob, 5)).toBeUndefined();
  expect(preemptable([second, first], bob, 6)).toBe(first);
});
