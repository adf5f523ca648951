// Reading and writing JSON step by step agrees with JSON.parse and JSON.stringify, wherever the steps are cut, and its work grows with the size alone.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../src/core/bounds/bounds.ts';
import {
  estimateHeap,
  exactText,
  isObject,
  type JsonValue,
  notedKeys,
  notedWeight,
  numberOf,
} from '../../../src/core/json.ts';
import type { Steps } from '../../../src/core/slices.ts';
import { JsonReader } from '../../../src/protocol/mcp/json-reader.ts';
import { JsonScan, work } from '../../../src/protocol/mcp/json-scan.ts';
import { JsonWriter, membersText, textOf, writeAhead } from '../../../src/protocol/mcp/json-writer.ts';
import { OverLimit, parseStrict, readStrict } from '../../../src/protocol/mcp/strict-json.ts';
import { size } from '../../size.ts';

const LIMITS = { depth: 64, items: 100_000, uniqueKeys: true };

function inSteps<T extends Steps>(steps: T, size: number): T {
  while (!steps.run(size));
  return steps;
}

const read = (text: string, size = Infinity): JsonValue => inSteps(new JsonReader(text), size).value;
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
    const reader = inSteps(new JsonReader('{"a":1,"b":{"c":1,"\\u0063":2,"c":3},"b":0}'), 3);
    expect(reader.duplicate).toBe('c');
    expect(reader.value).toEqual({ a: 1, b: 0 });
    const keys = Array.from({ length: 2_000 }, (_, n) => `k${n}`);
    expect(notedKeys(read(`{${keys.map((key) => `"${key}":0`).join(',')}}`) as object)).toEqual(keys);
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
  expect(notedWeight((found as { outer: [object] }).outer[0])).toBe(estimateHeap(members));
});

describe('writing', () => {
  test('gives the text of JSON.stringify, however small the steps are', () => {
    fc.assert(
      fc.property(written, step, ({ value, text }, size) => {
        expect(inSteps(new JsonWriter(read(text)), size).text).toBe(JSON.stringify(value));
      }),
      { numRuns: 500 },
    );
  });

  test('leaves out members without a value, and cuts no character of a long string in two', () => {
    const value: JsonValue = {
      a: undefined,
      b: [1, '😀'.repeat(50_000), { c: undefined, d: `x${'😀'.repeat(20_000)}` }],
    };
    expect(inSteps(new JsonWriter(value), 1_000).text).toBe(JSON.stringify(value));
  });

  test('ahead gives the same text as at once', async () => {
    const object = { a: { b: read('[1.0,2]') }, c: 'x', d: undefined, e: [null] };
    const before = membersText(object);
    await writeAhead(object);
    expect(membersText(object)).toBe(before);
    expect(before).toBe('{"a":{"b":[1.0,2]},"c":"x","e":[null]}');
    expect(textOf(object.a)).toBe('{"b":[1.0,2]}');
  });
});

describe('the scan', () => {
  test('counts every element and every member', () => {
    const count = (value: unknown): number =>
      typeof value !== 'object' || value === null
        ? 0
        : Object.values(value).reduce<number>((sum, inner) => sum + 1 + count(inner), 0);
    fc.assert(
      fc.property(written, step, ({ value, text }, size) => {
        expect(inSteps(new JsonScan(text, { depth: 100 }), size).items).toBe(count(value));
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
  /** What reading it looks at: characters, and values. */
  async function costOf(text: string): Promise<{ scanned: number; nodes: number; taken: boolean }> {
    const before = { ...work };
    const taken = await Promise.resolve(readStrict(text, LIMITS)).then(
      () => true,
      () => false,
    );
    return { scanned: work.scanned - before.scanned, nodes: work.nodes - before.nodes, taken };
  }

  test('is one pass, and each value once', async () => {
    for (const count of [10_000, 20_000, 40_000]) {
      const text = `{"a":{${Array.from({ length: count }, (_, n) => `"key-${n}":"${'v'.repeat(10)}"`).join(',')}}}`;
      expect(await costOf(text)).toEqual({ scanned: text.length, nodes: count + 2, taken: true });
    }
  });

  test('ends at the limit: what is over it is neither looked at nor built', async () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[${'[],'.repeat(1_000_000)}[]]}}`;
    const { scanned, nodes, taken } = await costOf(text);
    expect(taken).toBe(false);
    expect(nodes).toBe(0);
    expect(scanned).toBeLessThan(400_000);
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
