// The table of bounds, and the page that is made of it. UPDATE_GENERATED=1 rewrites the page.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bound } from '../../../src/core/bounds/bound.ts';
import { BOUND_PARTS, BOUNDS, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { limitsReference } from './limits-reference.ts';

const PAGE = join(import.meta.dirname, '../../../docs/reference/limits.md');
const all = Object.values(BOUND_PARTS).flatMap((part) => Object.entries<Bound>(part));

test('limits.md is up to date', () => {
  const text = limitsReference();
  if (process.env.UPDATE_GENERATED === '1') writeFileSync(PAGE, text);

  expect(readFileSync(PAGE, 'utf8')).toBe(text);
});

test('every bound has a name of its own, a number above zero, and says what happens', () => {
  expect(all.length).toBeGreaterThan(0);
  expect(Object.keys(BOUNDS)).toHaveLength(all.length);
  for (const [name, { value, help }] of all) {
    expect([name, value > 0, /^[A-Z].*\.$/s.test(help)]).toEqual([name, true, true]);
    expect(BOUNDS[name as keyof typeof BOUNDS]).toBe(value);
  }
});

test('a test replaces some bounds and keeps the others', () => {
  const small = boundsWith({ sessionStreams: 1 });

  expect(small).toEqual({ ...BOUNDS, sessionStreams: 1 });
  expect(Object.isFrozen(small)).toBe(true);
});
