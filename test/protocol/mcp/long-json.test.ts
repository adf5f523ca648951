// Reading and writing JSON step by step agrees with JSON.parse and JSON.stringify, wherever the steps are cut, and its work grows with the size alone.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../src/core/bounds/bounds.ts';
import {
  estimateHeap,
  exactText,
  isObject,
  jsonOf,
  jsonOfMembers,
  type JsonValue,
  notesOn,
  numberOf,
} from '../../../src/core/json.ts';
import { atOnce } from '../../../src/core/slices.ts';
import { JsonReader } from '../../../src/protocol/mcp/json-reader.ts';
import { OverLimit } from '../../../src/protocol/mcp/over-limit.ts';
import { JsonWriter, writeAhead } from '../../../src/protocol/mcp/json-writer.ts';
import { parseStrict, readStrict } from '../../../src/protocol/mcp/strict-json.ts';
import { size } from '../../size.ts';

const LIMITS = { depth: 64, items: 100_000, uniqueKeys: true };

const read = (text: string, step = Infinity): JsonValue => atOnce(new JsonReader(text, { depth: 64 }, step).read());
const write = (value: JsonValue, step: number): string => atOnce(new JsonWriter(step).write(value));
const step = fc.integer({ min: 1, max: 40 });

/** A value with what is hard about strings and numbers, and a text that says it. */
const written = fc
  .jsonValue({ maxDepth: 6, stringUnit: fc.constantFrom('a', '"', '\\', '\n', 'ü', '日', '😀', '\ud800', '\u2028') })
  .chain((value) =>
    fc.constantFrom(undefined, 1, '\t').map((indent) => ({ value, text: JSON.stringify(value, undefined, indent) })),
  );

describe('reading', () => {
  test('finds what was written, however small the steps are', () => {
    fc.assert(
      fc.property(written, step, ({ value, text }, size) => {
        expect(JSON.stringify(read(text, size))).toBe(JSON.stringify(value));
      }),
      { numRuns: 500 },
    );
  });

  test('refuses what JSON.parse refuses, and nothing else', () => {
    const piece = fc.constantFrom(
      ...'{}[]",:\\/0-1.eE+ \n\t\u0001tfn'.split(''),
      'true',
      'null',
      '"a"',
      '"a":1',
      '\\u00e9',
      '01',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), step, (pieces, size) => {
        const text = pieces.join('');
        let expected: string | undefined;
        try {
          expected = JSON.stringify(JSON.parse(text));
        } catch {
          expect(() => read(text, size)).toThrow('The message is not JSON');
          return;
        }
        expect(JSON.stringify(JSON.parse(JSON.stringify(read(text, size))))).toBe(expected);
      }),
      { numRuns: size(1_000, 50_000) },
    );
  });

  test('keeps every number as it is written', () => {
    const number = fc.stringMatching(/^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?$/);
    fc.assert(
      fc.property(fc.array(number), step, (numbers, size) => {
        const text = `{"a":[${numbers.join(',')}]}`;
        expect(JSON.stringify(read(text, size))).toBe(text);
        expect(JSON.stringify(parseStrict(text, LIMITS))).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test('takes a number for a number, and never for an object', () => {
    const value = read('[1.0,9007199254740993,1e400,2]') as JsonValue[];
    expect(value.map(isObject)).toEqual([false, false, false, false]);
    expect(value.map(numberOf)).toEqual([1, 9007199254740992, Infinity, 2]);
    expect(value.map(exactText)).toEqual(['1.0', '9007199254740993', '1e400', undefined]);
  });

  test('names the first key that stands twice, and knows the keys of an object of very many', () => {
    const reader = new JsonReader('{"a":1,"b":{"c":1,"\\u0063":2,"c":3},"b":0}', { depth: 2 }, 3);
    expect(atOnce(reader.read())).toEqual({ a: 1, b: 0 });
    expect(reader.duplicate).toBe('c');
    const keys = Array.from({ length: 2_000 }, (_, n) => `k${n}`);
    expect(notesOn(read(`{${keys.map((key) => `"${key}":0`).join(',')}}`) as object)?.keys).toEqual(keys);
    expect(read('{"__proto__":{"x":1}}')).toEqual(JSON.parse('{"__proto__":{"x":1}}'));
  });
});

test('what an object of very many members takes in memory is noted while it is read, as it would be found by walking it', () => {
  const members = Object.fromEntries(
    Array.from({ length: 1_500 }, (_, n) => [`key${n}`, n % 3 === 0 ? 'x'.repeat(n) : { a: [n, null, []], b: 'ü' }]),
  );
  const value: JsonValue = { outer: [members, true] };
  const found = read(JSON.stringify(value), 7);

  expect(estimateHeap(found)).toBe(estimateHeap(value));
  expect(notesOn((found as { outer: [object] }).outer[0])?.weight).toBe(estimateHeap(members));
});

describe('writing', () => {
  test('gives the text of JSON.stringify, however small the steps are', () => {
    fc.assert(
      fc.property(written, step, ({ value, text }, size) => {
        expect(write(read(text), size)).toBe(JSON.stringify(value));
      }),
      { numRuns: 500 },
    );
  });

  test('leaves out members without a value, and cuts no character of a long string in two', () => {
    const value: JsonValue = {
      a: undefined,
      b: [1, '😀'.repeat(50_000), { c: undefined, d: `x${'😀'.repeat(20_000)}` }],
    };
    expect(write(value, 1_000)).toBe(JSON.stringify(value));
  });

  test('ahead gives the same text as at once', async () => {
    const object = { a: { b: read('[1.0,2]') }, c: 'x', d: undefined, e: [null] };
    const before = jsonOfMembers(object);
    await writeAhead(object);
    expect(jsonOfMembers(object)).toBe(before);
    expect(before).toBe('{"a":{"b":[1.0,2]},"c":"x","e":[null]}');
    expect(jsonOf(object.a)).toBe('{"b":[1.0,2]}');
  });
});

describe('a limit', () => {
  test('counts every element and every member, however small the steps are', () => {
    const count = (value: unknown): number =>
      typeof value !== 'object' || value === null
        ? 0
        : Object.values(value).reduce<number>((sum, inner) => sum + 1 + count(inner), 0);
    fc.assert(
      fc.property(written, step, ({ value, text }, size) => {
        const items = count(value);
        const readWithin = (items: number) => atOnce(new JsonReader(text, { depth: 64, items }, size).read());
        const parseWithin = (items: number) => parseStrict(text, { depth: 64, items, uniqueKeys: true });
        for (const within of [readWithin, parseWithin]) {
          expect(JSON.stringify(within(items))).toBe(JSON.stringify(value));
          if (items > 0) expect(() => within(items - 1)).toThrow(`more than ${items - 1} items`);
        }
      }),
    );
  });

  test('finds whose a message over the limits is, wherever its id stands', () => {
    const many = `[${'[],'.repeat(2_000)}[]]`;
    const limits = { depth: 64, items: 1_000, uniqueKeys: false };
    const found = (text: string): unknown => {
      try {
        return parseStrict(text, limits);
      } catch (error) {
        return error instanceof OverLimit ? [error.id, error.isAnswer] : error;
      }
    };
    expect(found(`{"jsonrpc":"2.0","id":7,"result":{"x":${many}}}`)).toEqual([7, true]);
    expect(found(`{"result":{"id":3,"x":${many}},"jsonrpc":"2.0", "id" : 8 }`)).toEqual([8, true]);
    expect(found(`{"params":{"id":3,"method":0,"x":${many}},"id":"\\u0061","method":"m"}`)).toEqual(['a', false]);
    expect(found(`{"method":"m","params":{"x":${many}}}`)).toEqual([undefined, false]);
    expect(found(`{"id":1.0,"result":{"x":${many}}}`)).toEqual([undefined, true]);
    expect(found(many)).toEqual([undefined, true]);
  });
});

describe('the work for a message', () => {
  /** The steps in which it is read; a step is the work for so many characters. */
  function stepsOf(text: string, size: number): number {
    const reading = new JsonReader(text, LIMITS, size).read();
    let steps = 1;
    while (!reading.next().done) steps++;
    return steps;
  }

  test('is one pass, and each value once', () => {
    for (const count of [10_000, 20_000, 40_000]) {
      const text = `{"a":{${Array.from({ length: count }, (_, n) => `"key-${n}":"${'v'.repeat(10)}"`).join(',')}}}`;
      const values = count + 2;
      const steps = stepsOf(text, 1_000);
      expect(steps).toBeGreaterThan(text.length / 1_000);
      expect(steps).toBeLessThanOrEqual((text.length + 16 * values) / 1_000 + 1);
    }
  });

  test.each<[string, (filler: string) => string]>([
    ['before the value', (space) => `${space}{"a":[1]}`],
    ['after the value', (space) => `{"a":[1]}${space}`],
    ['in an empty array', (space) => `[${space}]`],
    ['in an empty object', (space) => `{${space}}`],
    ['before an element', (space) => `[1,${space}2]`],
    ['after an element', (space) => `[1${space},2]`],
    ['before a key', (space) => `{"a":1,${space}"b":2}`],
    ['after a key', (space) => `{"a"${space}:1}`],
    ['after a colon', (space) => `{"a":${space}1}`],
    ['after a member', (space) => `{"a":1${space}}`],
  ])('takes as many steps as it has white space: %s', (_where, textWith) => {
    const text = textWith(' \t\r\n'.repeat(10_000));

    expect(stepsOf(text, 1_000)).toBeGreaterThanOrEqual(40);
    expect(read(text, 1_000)).toEqual(JSON.parse(text));
  });

  test('takes as many steps as a number has digits', () => {
    const text = `[${'1'.repeat(40_000)}.5]`;

    expect(stepsOf(text, 1_000)).toBeGreaterThanOrEqual(40);
    expect(JSON.stringify(read(text, 1_000))).toBe(text);
  });

  test('ends at the limit: what is over it is neither looked at nor built', () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[${'[],'.repeat(1_000_000)}[]]}}`;
    const reading = new JsonReader(text, LIMITS, 1_000).read();
    let steps = 0;
    expect(() => {
      while (!reading.next().done) steps++;
    }).toThrow(OverLimit);
    expect(steps).toBeLessThanOrEqual((3 + 16) * (LIMITS.items / 1_000));
  });

  test('leaves everybody else their turns where it is much', async () => {
    const text = JSON.stringify(Array.from({ length: 90_000 }, () => 'x'.repeat(100)));
    expect(text.length).toBeGreaterThan(BOUNDS.slicedMessage);
    let turns = 0;
    let reading = true;
    const count = () => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    await readStrict(text, LIMITS);
    reading = false;
    expect(turns).toBeGreaterThan(2);
  });
});
