// Which request a dropped line answered: found from its two ends, or unknown.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DroppedLine, LineSplitter } from '../../../../src/protocol/mcp/line-splitter.ts';
import { readDroppedLine } from '../../../../src/upstream/mcp/wire/dropped-answer.ts';

/** What a splitter keeps of a line that comes in pieces of some size. */
function drop(line: string, piece = 1_000): DroppedLine {
  const dropped: DroppedLine[] = [];
  const splitter = new LineSplitter(
    { line: () => undefined, oversize: () => undefined, dropped: (left) => dropped.push(left) },
    100,
  );
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.length; at += piece) splitter.push(bytes.subarray(at, at + piece));
  const [only] = dropped;
  if (!only || dropped.length > 1) throw new Error(`${dropped.length} lines were dropped`);
  return only;
}

const filler = 'x'.repeat(300);

test.each([
  [`{"jsonrpc":"2.0","id":42,"result":{"x":"${filler}"}}`, { kind: 'answer', id: 42 }],
  [`{"id":42,"jsonrpc":"2.0","result":{"x":"${filler}"}}`, { kind: 'answer', id: 42 }],
  [`{ "jsonrpc" : "2.0", "id" : 42, "error" : {"x":"${filler}"}}`, { kind: 'answer', id: 42 }],
  [`{"result":{"x":"${filler}"},"jsonrpc":"2.0","id":42}`, { kind: 'answer', id: 42 }],
  [`{"jsonrpc":"2.0","result":{"x":"${filler}"},"id":42}\r`, { kind: 'answer', id: 42 }],
  [`{"jsonrpc":"2.0","id":42,"method":"sampling/createMessage","params":{"x":"${filler}"}}`, { kind: 'other' }],
  [`{"method":"sampling/createMessage","params":{"x":"${filler}"},"jsonrpc":"2.0","id":42}`, { kind: 'other' }],
  [`{"jsonrpc":"2.0","id":"ours?","result":{"x":"${filler}"}}`, { kind: 'other' }],
  [`{"params":{"x":"${filler}"},"method":"x","id":42}`, { kind: 'unknown' }],
  [`{"jsonrpc":"2.0","result":{"x":"${filler}","id":42}}`, { kind: 'unknown' }],
  [`{"jsonrpc":"2.0","result":{"x":"${filler}"},"y\\",\\"id":42}`, { kind: 'unknown' }],
  [filler, { kind: 'unknown' }],
])('%#: %s', (line, expected) => {
  for (const piece of [1, 64, 10_000]) expect(readDroppedLine(drop(line, piece))).toEqual(expected);
});

test('whatever JSON a line is, an id is only claimed where it is the id of an answer', () => {
  const key = fc.constantFrom('id', 'jsonrpc', 'result', 'error', 'method', 'params', 'x","id');
  const value = fc.oneof(
    fc.nat(99),
    fc.constantFrom('2.0', filler, `,"id":7}`, `{"result":`),
    fc.dictionary(key, fc.nat(99)),
  );
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 6 }), (pairs) => {
      const message = { ...Object.fromEntries<unknown>(pairs), pad: filler } as Record<string, unknown>;
      const line = JSON.stringify(message);

      const found = readDroppedLine(drop(line));

      if (found.kind === 'answer') {
        expect(message.id).toBe(found.id);
        expect('result' in message || 'error' in message).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a line that is four times too long is told of although it goes on, and only once', () => {
  const dropped: DroppedLine[] = [];
  const splitter = new LineSplitter(
    { line: () => undefined, oversize: () => undefined, dropped: (left) => dropped.push(left) },
    100,
  );

  for (let count = 0; count < 50; count++) splitter.push(Buffer.from('y'.repeat(25)));
  splitter.push(Buffer.from('\n'));
  splitter.end();

  expect(dropped).toEqual([{ bytes: 425, head: 'y'.repeat(125), tail: 'y'.repeat(256), ended: false }]);
});
