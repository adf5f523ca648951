// Whether a server still means the task that it made, by the time at which it says that it did.
import { expect, test } from 'vitest';
import { isSame } from '../../../src/gateway/tasks/at-server.ts';

const TIME = '2026-01-01T00:00:00Z';

test('a task of another time, or of none, is another one', () => {
  expect(isSame({ createdAt: TIME }, { createdAt: TIME })).toBe(true);
  expect(isSame({ createdAt: TIME }, { createdAt: '2026-01-01T00:00:01Z' })).toBe(false);
  expect(isSame({ createdAt: TIME }, {})).toBe(false);
  expect(isSame({ createdAt: TIME }, { createdAt: 1 })).toBe(false);
});

test('a time that was not said cannot differ', () => {
  expect(isSame({}, { createdAt: TIME })).toBe(true);
});

test('of a long time the first 64 characters count, of which no more is kept', () => {
  const long = TIME.padEnd(100, '0');

  expect(isSame({ createdAt: long.slice(0, 64) }, { createdAt: long })).toBe(true);
  expect(isSame({ createdAt: long }, { createdAt: long.slice(0, 64) })).toBe(true);
  expect(isSame({ createdAt: long.slice(0, 63) }, { createdAt: long })).toBe(false);
});
