// Header values and mirrored parameters: what is written is read back, and a check fails exactly where the two differ.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../../src/core/json.ts';
import {
  checkParamHeaders,
  decodeHeaderValue,
  encodeHeaderValue,
  mirrorArguments,
  type MirroredParam,
  type ParamHeaders,
  paramHeadersIn,
  readMirroredParams,
} from '../../../src/protocol/mcp/param-headers.ts';

const wellFormed = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'grapheme-ascii' }),
  fc.string({ unit: fc.constantFrom(' ', '\t', 'a', '=', '?', '\n', '\r', '\0') }),
);

describe('A header value', () => {
  test('comes back as it was, and is always one that a header can carry', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          wellFormed,
          wellFormed.map((text) => `=?base64?${text}?=`),
        ),
        (value) => {
          const written = encodeHeaderValue(value);

          expect(decodeHeaderValue(written)).toBe(value);
          expect(written).toMatch(/^[!-~]([ -~\t]*[!-~])?$/);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('is written plain where it can be', () => {
    for (const value of ['us-west1', 'a b', 'a\tb', '=?base64?', '?=', '=?BASE64?YQ==?='])
      expect(encodeHeaderValue(value)).toBe(value);
  });

  test.each([
    ['Hello, \u4e16\u754c', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
  ])('is written as the specification does: %j', (value, written) => {
    expect(encodeHeaderValue(value)).toBe(written);
  });

  test.each([
    '=?base64?YQ=?=',
    '=?base64?Y?=',
    '=?base64?YQ==\n?=',
    '=?base64?Y Q==?=',
    '=?base64?YQ-_?=',
    '=?base64?/w==?=',
    '=?base64?7aCA?=',
    '\u00e9',
    'a\u0000',
    '\u007f',
  ])('is none: %j', (value) => {
    expect(decodeHeaderValue(value)).toBeUndefined();
  });
});

const NESTED: readonly MirroredParam[] = [
  { header: 'mcp-param-text', path: ['text'], type: 'string' },
  { header: 'mcp-param-count', path: ['inner', 'count'], type: 'integer' },
  { header: 'mcp-param-flag', path: ['flag'], type: 'boolean' },
];
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(fc.option(value, { nil: null }), { nil: undefined });
const values = fc.record({ text: maybe(wellFormed), count: maybe(fc.maxSafeInteger()), flag: maybe(fc.boolean()) });
const argsOf = ({
  text,
  count,
  flag,
}: {
  text?: JsonValue | undefined;
  count?: JsonValue | undefined;
  flag?: JsonValue | undefined;
}): JsonObject => ({ text, flag, inner: { count } });

/** Whether headers and arguments say the same; what is forwarded is none of the headers that the schema names. */
function agree(known: readonly MirroredParam[], args: JsonObject, headers: ParamHeaders): boolean {
  try {
    expect(checkParamHeaders(headers, known, args)).toBeUndefined();
    return true;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    expect(error.code).toBe('header_mismatch');
    return false;
  }
}

describe('Mirrored parameters', () => {
  test('that we write ourselves always pass', () => {
    fc.assert(
      fc.property(values, (given) => {
        expect(agree(NESTED, argsOf(given), mirrorArguments(NESTED, argsOf(given)))).toBe(true);
      }),
    );
  });

  test('of other arguments pass only where these are written alike', () => {
    const same = (a: unknown, b: unknown) => (a ?? undefined) === (b ?? undefined) || (a === 0 && b === 0);
    fc.assert(
      fc.property(values, values, (one, other) => {
        const alike = same(one.text, other.text) && same(one.count, other.count) && same(one.flag, other.flag);

        expect(agree(NESTED, argsOf(one), mirrorArguments(NESTED, argsOf(other)))).toBe(alike);
      }),
      { numRuns: 1_000 },
    );
  });

  const integer: readonly MirroredParam[] = [{ header: 'mcp-param-n', path: ['n'], type: 'integer' }];
  test.each<[JsonValue | undefined, string | undefined, boolean]>([
    [42, '42', true],
    [42, '42.0', true],
    [42, '4.2e1', true],
    [42, '43', false],
    [42, '0x2a', false],
    [42, '42 ', false],
    [42, '', false],
    [42, '+42', false],
    [42, undefined, false],
    [0, '', false],
    [-7, '-7', true],
    [null, undefined, true],
    [null, 'null', false],
    [undefined, undefined, true],
    [undefined, 'undefined', false],
    ['42', '42', true],
    [{}, '[object Object]', false],
    [[42], '42', false],
  ])('the argument %j and the header %j: alike is %j', (value, header, alike) => {
    expect(agree(integer, { n: value }, header === undefined ? {} : { 'mcp-param-n': header })).toBe(alike);
  });

  test('are read from own properties only', () => {
    const inherited: readonly MirroredParam[] = [
      { header: 'mcp-param-x', path: ['constructor', 'name'], type: 'string' },
    ];

    expect(mirrorArguments(inherited, {})).toEqual({});
    expect(agree(inherited, {}, {})).toBe(true);
  });
});

describe('The Mcp-Param headers of a request', () => {
  const known: readonly MirroredParam[] = [{ header: 'mcp-param-n', path: ['n'], type: 'integer' }];
  const many = (count: number, value = '1') =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`mcp-param-x${index}`, value]));

  test('are all that begin so, and nothing else', () => {
    const headers = {
      host: 'h',
      'mcp-method': 'tools/call',
      'mcp-param-a': 'x',
      'mcp-param-': 'y',
      'x-mcp-param-b': 'z',
    };

    expect(paramHeadersIn(headers)).toEqual({ 'mcp-param-a': 'x', 'mcp-param-': 'y' });
    expect(paramHeadersIn({ 'mcp-param-a': ['x', 'y'] })).toEqual({ 'mcp-param-a': 'x,y' });
    expect(paramHeadersIn({ host: 'h' })).toEqual({});
  });

  test('are forwarded where no schema names them, and those that one names are not', () => {
    expect(checkParamHeaders({ 'mcp-param-n': '42', 'mcp-param-a': 'x' }, known, { n: 42 })).toEqual({
      'mcp-param-a': 'x',
    });
    expect(checkParamHeaders(many(32), [], {})).toEqual(many(32));
    expect(checkParamHeaders({ 'mcp-param-n': '42' }, known, { n: 42 })).toBeUndefined();
    expect(checkParamHeaders(paramHeadersIn({}), [], {})).toBeUndefined();
  });

  test.for<[string, ParamHeaders, JsonObject, string]>([
    ['is missing', paramHeadersIn({}), { n: 42 }, 'Header mismatch: mcp-param-n is missing'],
    ['differs', { 'mcp-param-n': '43' }, { n: 42 }, 'Header mismatch: mcp-param-n differs from the argument'],
    ['is there alone', { 'mcp-param-n': '1' }, {}, 'Header mismatch: mcp-param-n is present, but the argument is not'],
    ['is more than is forwarded', many(33), {}, 'Header mismatch: mcp-param-x32 is more than is forwarded.'],
    ['is too long', many(2, 'x'.repeat(4_097)), {}, 'Header mismatch: mcp-param-x0 is more than is forwarded.'],
  ])('are refused where one %s', ([, headers, args, message]) => {
    expect(() => checkParamHeaders(headers, known, args)).toThrow(
      expect.objectContaining({ code: 'header_mismatch', message }) as Error,
    );
  });
});

describe('The annotations of a schema', () => {
  const property = (node: object) => ({ type: 'object', properties: { p: node } });

  test('are found at the properties that lead to them', () => {
    const schema = {
      properties: {
        a: { type: 'string', 'x-mcp-header': 'One' },
        b: { properties: { c: { type: 'integer', 'x-mcp-header': 'two' } } },
        'x-mcp-header': { type: 'string' },
      },
    };

    expect(readMirroredParams(schema)).toEqual({
      ok: true,
      params: [
        { header: 'mcp-param-one', path: ['a'], type: 'string' },
        { header: 'mcp-param-two', path: ['b', 'c'], type: 'integer' },
      ],
    });
  });

  test.each([
    ['an empty name', property({ type: 'string', 'x-mcp-header': '' })],
    ['a name with a space', property({ type: 'string', 'x-mcp-header': 'a b' })],
    ['a name with a line break', property({ type: 'string', 'x-mcp-header': 'a\r\nb' })],
    ['a name that is no string', property({ type: 'string', 'x-mcp-header': 5 })],
    ['a number', property({ type: 'number', 'x-mcp-header': 'N' })],
    ['an object', property({ type: 'object', 'x-mcp-header': 'N' })],
    ['no type', property({ 'x-mcp-header': 'N' })],
    ['the root', { type: 'string', 'x-mcp-header': 'N' }],
    ['items', property({ type: 'array', items: { type: 'string', 'x-mcp-header': 'N' } })],
    ['a composition', { anyOf: [property({ type: 'string', 'x-mcp-header': 'N' })] }],
    ['a definition', { $defs: { x: property({ type: 'string', 'x-mcp-header': 'N' }) } }],
    [
      'the same name in another letter case',
      { properties: { a: { type: 'string', 'x-mcp-header': 'N' }, b: { type: 'string', 'x-mcp-header': 'n' } } },
    ],
  ])('make the tool invalid: %s', (_what, schema) => {
    expect(readMirroredParams(schema)).toMatchObject({ ok: false });
  });
});
