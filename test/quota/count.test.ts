// Counting calls: by principal and server, bounded, and only what authorization let through.
import { expect, test } from 'vitest';
import { CallLedger } from '../../src/quota/count.ts';

test('calls are counted by principal and server', () => {
  const ledger = new CallLedger();
  for (const [principal, server] of [
    ['a', 's'],
    ['a', 's'],
    ['a', 't'],
    ['b', 's'],
  ] as const)
    ledger.add(principal, server);

  expect(ledger.counts()).toEqual([
    { principal: 'a', server: 's', calls: 2 },
    { principal: 'a', server: 't', calls: 1 },
    { principal: 'b', server: 's', calls: 1 },
  ]);
});

test('beyond ten thousand pairs the rest share one line, and nothing is lost', () => {
  const ledger = new CallLedger();
  for (let index = 0; index < 10_050; index++) ledger.add(`p${index}`, 's');
  ledger.add('p0', 's');

  const counts = ledger.counts();

  expect(counts).toHaveLength(10_001);
  expect(counts.at(-1)).toEqual({ principal: '(others)', server: '(others)', calls: 50 });
  expect(counts[0]?.calls).toBe(2);
});
