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
