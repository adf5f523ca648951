// The strict parser agrees with JSON.parse on everything but repeated keys and depth, however either is written.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import type { JsonValue } from '../../../src/core/json.ts';
import { parseStrict } from '../../../src/protocol/mcp/strict-json.ts';

const LIMITS = { depth: 64, uniqueKeys: true };
const parse = (text: string, limits = LIMITS) => parseStrict(text, limits);

function refusal(text: string, limits = LIMITS): string {
  try {
    parse(text, limits);
    return 'taken';
  } catch (error) {
    return error instanceof GatewayError ? error.code : 'not ours';
  }
}

/** Writes every character of a key as an escape. */
const escaped = (key: string) =>
  Array.from({ length: key.length }, (_, at) => `\\u${key.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');

test('whatever JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test.each(['\\u0041', 'a\\u0041', '\\n', '\\"'])(
  'the key "%s" is read for what it is, whatever was read before it',
  (key) => {
    const before = `{"a":[],"${key.replace(/\\.*/, '\\\\')}":[]}`;
    for (let times = 0; times < 5; times++) JSON.parse(before);

    const [, last = ''] = Object.keys(parse(`{"a":[],"${key}":[]}`) as object);

    expect(last).toBe(JSON.parse(`"${key}"`));
  },
);

test('whatever text JSON.parse refuses is a parse error, and what it takes is taken', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\"',
    '\\\\',
    '"a"',
    '"a":1',
    '0',
    '-',
    'null',
    ' ',
    '\n',
    '\u2028',
    '\ud800',
    'e5',
    '/**/',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('');
      const lenient = { depth: 64, uniqueKeys: false };
      let expected: unknown;
      try {
        expected = JSON.parse(text) as unknown;
      } catch {
        expect(refusal(text, lenient)).toBe('parse_error');
        return;
      }
      // a number that JavaScript cannot hold is kept as its text, which JSON.parse reads as it always does
      expect(JSON.parse(JSON.stringify(parse(text, lenient)))).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

test('a key that stands twice in one object is refused, wherever it is and however it is spelt', () => {
  const spelling = fc.constantFrom(
    (key: string) => JSON.stringify(key),
    (key: string) => `"${escaped(key)}"`,
  );
  fc.assert(
    fc.property(
      fc.record({
        key: fc.string({ unit: 'binary', maxLength: 8 }),
        others: fc.uniqueArray(fc.string({ maxLength: 8 }), { maxLength: 40 }),
        where: fc.nat(),
        first: spelling,
        second: spelling,
        around: fc.constantFrom(
          (text: string) => text,
          (text: string) => `[1,${text}]`,
          (text: string) => `{"x":{"y":${text}}}`,
          (text: string) => `[{"k":{}},${text}]`,
        ),
      }),
      ({ key, others, where, first, second, around }) => {
        const members = others
          .filter((other) => other !== key)
          .map((other) => `${JSON.stringify(other)}:{"k":[{"k":1}]}`);
        const once = members.toSpliced(where % (members.length + 1), 0, `${first(key)}:1`);
        const twice = [...once, `${second(key)} : 2`];

        expect(parse(around(`{${once.join(',')}}`))).toEqual(JSON.parse(around(`{${once.join(',')}}`)));
        expect(refusal(around(`{${twice.join(',')}}`))).toBe('invalid_request');
      },
    ),
  );
});

test('depth is counted as nesting, whatever stands between: just the limit passes, one more does not', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 1, max: 80 }),
      (kinds, depth) => {
        const text = kinds.reduceRight((inner, list) => (list ? `["]}",${inner}]` : `{"[{\\"":${inner}}`), '0');

        expect(refusal(text, { depth, uniqueKeys: true })).toBe(kinds.length <= depth ? 'taken' : 'invalid_request');
      },
    ),
  );
});

describe('A refusal', () => {
  test('names the key as it is read, cut short', () => {
    expect(() => parse('{"n\\u0061me":1,"name":2}')).toThrow('"name"');
    expect(() => parse(`{"${'k'.repeat(500)}":1,"${'k'.repeat(500)}":2}`)).toThrow(`"${'k'.repeat(64)}"`);
  });

  test('of what is no JSON at all comes before that of a repeated key', () => {
    expect(refusal('{"a":1,"a":2')).toBe('parse_error');
    expect(refusal('{"\\x":1,"\\x":2}')).toBe('parse_error');
  });
});

test('a repeated key that the prototype knows is a key like any other', () => {
  expect(Object.keys(parse('{"__proto__":1,"constructor":2}') as Record<string, JsonValue>)).toEqual([
    '__proto__',
    'constructor',
  ]);
  expect(refusal('{"__proto__":1,"__proto__":2}')).toBe('invalid_request');
});

test.each([
  ['quotes behind backslashes', `"${'\\\\'.repeat(500_000)}"`],
  ['escaped quotes', `"${'\\"'.repeat(500_000)}"`],
  ['many keys', `{${Array.from({ length: 100_000 }, (_, at) => `"k${at}":0`).join(',')}}`],
  ['brackets without end', '['.repeat(1_000_000)],
])('a megabyte of %s is read in no time', (_what, text) => {
  const before = performance.now();
  refusal(text);

  expect(performance.now() - before).toBeLessThan(2_000); // quadratic would be minutes
});
