import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonValue } from '../../src/core/json.ts';
import { shapeOf } from '../../src/audit/record.ts';

test('a shape names keys, types and sizes', () => {
  const value = {
    path: '/etc/passwd',
    depth: 3,
    ratio: 0.5,
    deep: true,
    none: null,
    list: ['ab', 'c'],
    empty: [],
    inner: { a: '' },
  };

  expect(shapeOf(value)).toEqual({
    path: 'string(11)',
    depth: 'integer',
    ratio: 'number',
    deep: 'boolean',
    none: 'null',
    list: { array: 2, of: 'string(2)' },
    empty: { array: 0 },
    inner: { a: 'string(0)' },
  });
});

test('no value of a leaf is in a shape', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[Q-Z]{6}$/)), fc.integer({ min: 100_000_000 }), (secrets, number) => {
      const text = JSON.stringify(shapeOf({ secrets, number, nested: [{ first: secrets[0] ?? '' }] }));

      expect(text).not.toContain(String(number));
      for (const secret of secrets) expect(text).not.toContain(secret);
    }),
  );
});

test('wide, deep and long-named objects give a short shape that says what is left out', () => {
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, index]));
  const deep = JSON.parse('{"a":'.repeat(60) + '1' + '}'.repeat(60)) as JsonValue;
  const bushy = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`b${index}`, wide]));

  expect(shapeOf(wide)).toMatchObject({ k63: 'integer', '…': '36 more' });
  expect(shapeOf(wide)).not.toHaveProperty('k64');
  expect(shapeOf(deep)).toEqual({ a: { a: { a: { a: { a: { a: 'object' } } } } } });
  expect(shapeOf({ ['n'.repeat(99)]: 1 })).toEqual({ [`${'n'.repeat(64)}…`]: 'integer' });
  expect(JSON.stringify(shapeOf(bushy)).length).toBeLessThan(10_000);
});

test('a key named __proto__ is shown and changes nothing', () => {
  const shape = shapeOf(JSON.parse('{"__proto__":{"polluted":1}}') as JsonValue);

  expect(JSON.stringify(shape)).toBe('{"__proto__":{"polluted":"integer"}}');
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test('every JSON value has a bounded shape', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 12 }), (value) => {
      expect(JSON.stringify(shapeOf(value)).length).toBeLessThan(40_000);
    }),
  );
});
