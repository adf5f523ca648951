// The last errors of a server.
import { expect, test } from 'vitest';
import { RecentErrors } from '../../../../src/upstream/mcp/configured-server.ts';

test('the last ten are kept, the oldest first, and none of them is long', () => {
  const errors = new RecentErrors();
  for (let number = 1; number <= 12; number++) errors.record(`error ${number}`);
  errors.record('x'.repeat(100_000));
  expect(errors.all.map(({ message }) => message.slice(0, 8))).toEqual([
    ...[4, 5, 6, 7, 8, 9, 10, 11, 12].map((number) => `error ${number}`.slice(0, 8)),
    'xxxxxxxx',
  ]);
  expect(errors.last?.message).toHaveLength(1_000);
});

test('one that repeats itself is one entry that says how often, and when last', () => {
  const errors = new RecentErrors();
  expect(errors.last).toBeUndefined();
  for (const message of ['a', 'b', 'b', 'b', 'a']) errors.record(message);
  expect(errors.all.map(({ message, times }) => [message, times])).toEqual([
    ['a', 1],
    ['b', 3],
    ['a', 1],
  ]);
  expect(errors.last?.at).toBeGreaterThan(0);
});
