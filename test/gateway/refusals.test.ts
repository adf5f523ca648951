import { expect, test } from 'vitest';
import { type FailedAttempt, FailedAttempts } from '../../src/downstream/failed-attempts.ts';

test('the first failure of an address is told, then one a minute with the count of all', () => {
  const told: FailedAttempt[] = [];
  let now = 0;
  const failed = new FailedAttempts(
    (attempt) => told.push(attempt),
    () => now,
  );

  for (let attempt = 0; attempt < 1_500; attempt++) failed.add('10.0.0.1', 'no token');
  failed.add('10.0.0.2', 'no token');
  now = 60_000;
  failed.add('10.0.0.1', 'no token');

  expect(told).toEqual([
    { address: '10.0.0.1', reason: 'no token', attempts: 1 },
    { address: '10.0.0.2', reason: 'no token', attempts: 1 },
    { address: '10.0.0.1', reason: 'no token', attempts: 1_500 },
  ]);
});

test('principals and reasons of one address are told apart, and no more than 1,000 at a time', () => {
  const told: FailedAttempt[] = [];
  const failed = new FailedAttempts(
    (attempt) => told.push(attempt),
    () => 0,
  );
  for (let round = 0; round < 2; round++) {
    failed.add('10.0.0.1', 'unknown', 'alice');
    failed.add('10.0.0.1', 'unknown', 'bob');
    failed.add('10.0.0.1', 'foreign', 'bob');
  }
  expect(told.map(({ principal, reason }) => [principal, reason])).toEqual([
    ['alice', 'unknown'],
    ['bob', 'unknown'],
    ['bob', 'foreign'],
  ]);

  for (let address = 0; address < 1_000; address++) failed.add(`10.1.0.${address}`, 'unknown');
  failed.add('10.0.0.1', 'unknown', 'alice');
  expect(told).toHaveLength(3 + 1_000 + 1);
});
