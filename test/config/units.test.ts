// Sizes and durations.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBytes, toMilliseconds } from '../../src/config/units.ts';

test('sizes have binary and decimal units', () => {
  expect(['1B', '2KiB', '4MiB', '1.5GiB', '1kB', '1KB', '3 MB', 77].map(toBytes)).toEqual([
    1, 2048, 4_194_304, 1_610_612_736, 1000, 1000, 3_000_000, 77,
  ]);
});

test('durations have units from milliseconds to hours', () => {
  expect(['250ms', '60s', '5m', '1.5h', 12].map(toMilliseconds)).toEqual([250, 60_000, 300_000, 5_400_000, 12]);
});

test('anything else is not a number', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^[\d.]+ ?[A-Za-z]+$/.test(text));
      expect(toBytes(text)).toBeNaN();
      expect(toMilliseconds(text)).toBeNaN();
    }),
  );
  expect(toBytes('4MIB')).toBeNaN();
  expect(toMilliseconds('60')).toBeNaN();
});
