// W3C Trace Context: continued where it is valid, never passed on where it could not be a header.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RandomIds, randomHex, traceFrom, traceparentOf } from '../../src/telemetry/trace.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('a valid traceparent is continued under a span of our own', () => {
  const trace = traceFrom(PARENT, 'vendor=1');

  expect(trace).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', flags: '01', state: 'vendor=1' });
  expect(trace.spanId).not.toBe('b7ad6b7169203331');
  expect(traceparentOf(trace)).toBe(`00-${trace.traceId}-${trace.spanId}-01`);
});

test.each([
  ['no header', undefined],
  ['zeros for a trace', PARENT.replace(/0af\w+/, '0'.repeat(32))],
  ['zeros for a span', PARENT.replace(/b7a\w+/, '0'.repeat(16))],
  ['version ff', PARENT.replace(/^00/, 'ff')],
  ['more than version 00 has', `${PARENT}-more`],
  ['upper case', PARENT.toUpperCase()],
  ['a number', 7],
])('%s starts a new trace', (_, traceparent) => {
  const trace = traceFrom(traceparent, 'vendor=1');

  expect(trace.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(trace.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c');
  expect(trace.state).toBeUndefined();
});

test('a version to come is continued', () => {
  expect(traceFrom(`${PARENT.replace(/^00/, '01')}-new`, undefined).traceId).toBe('0af7651916cd43dd8448eb211c80319c');
});

test('a tracestate that is passed on is always one that a header can carry', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (state) => {
      const kept = traceFrom(PARENT, state).state;

      if (kept !== undefined) expect(new Headers({ tracestate: kept }).get('tracestate')).toBe(state);
    }),
  );
  expect(traceFrom(PARENT, 'a=1\r\nx: y').state).toBeUndefined();
  expect(traceFrom(PARENT, 'x'.repeat(513)).state).toBeUndefined();
});

test('ids are hex of the length asked for, and not repeated', () => {
  const ids = Array.from({ length: 5_000 }, () => randomHex(8));

  expect(new Set(ids).size).toBe(5_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
});

test('ids have the wanted length, and none comes twice, however many are drawn and however long each is', () => {
  const ids = new RandomIds();
  const lengths = Array.from({ length: 3_000 }, (_, index) => 8 + (index % 9));

  const drawn = lengths.map((bytes) => ids.hex(bytes));

  expect(drawn.map(({ length }) => length)).toEqual(lengths.map((bytes) => 2 * bytes));
  for (const id of drawn) expect(id).toMatch(/^[0-9a-f]+$/);
  // no two ids share bytes of a draw either: the first 16 digits are all different
  expect(new Set(drawn.map((id) => id.slice(0, 16))).size).toBe(drawn.length);
  expect(new RandomIds().hex(16)).not.toBe(new RandomIds().hex(16));
});
