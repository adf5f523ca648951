import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff, doublingMs } from '../../src/core/backoff.ts';

test('pauses double from the first to the longest', () => {
  const backoff = new Backoff({ firstMs: 100, mostMs: 500 });
  expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([100, 200, 400, 500, 500]);
});

test('after a reset the first pause comes again', () => {
  const backoff = new Backoff({ firstMs: 100 });
  backoff.next();
  backoff.next();

  backoff.reset();

  expect([backoff.next(), backoff.next()]).toEqual([100, 200]);
});

test('a pause is never shorter than the one before, nor out of its bounds, however often it is tried', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1e9 }),
      fc.nat(5_000),
      (firstMs, more, n) => {
        const limits = { firstMs, mostMs: firstMs + more };
        const pause = doublingMs(n, limits);
        expect(pause).toBeGreaterThanOrEqual(firstMs);
        expect(pause).toBeLessThanOrEqual(limits.mostMs);
        expect(doublingMs(n + 1, limits)).toBe(Math.min(2 * pause, limits.mostMs));
      },
    ),
  );
});
