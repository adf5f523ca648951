// Lines out of bytes: wherever the chunks are cut, the lines are the same, and a line that is too long costs only itself.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../src/protocol/mcp/line-splitter.ts';

const MAX = 24;
const LARGE = 16 * 1024 * 1024;

/** What a splitter says about a stream that comes in these pieces, in order. */
function split(pieces: readonly Buffer[], maxBytes = LARGE): string[] {
  const seen: string[] = [];
  const splitter = new LineSplitter(
    {
      line: (text) => seen.push(`line ${text}`),
      oversize: (bytes) => seen.push(bytes > maxBytes ? 'oversize' : 'lie'),
    },
    maxBytes,
  );
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return seen;
}

const lines = (...texts: string[]) => texts.map((text) => `line ${text}`);

/** The same, written as plainly as can be: everything at once, cut at newlines. */
function expected(stream: Buffer): string[] {
  return stream
    .toString('latin1')
    .split('\n')
    .map((line) => Buffer.from(line.endsWith('\r') ? line.slice(0, -1) : line, 'latin1'))
    .filter((line) => line.length > 0)
    .map((line) => (line.length > MAX ? 'oversize' : `line ${line.toString('utf8')}`));
}

function cut(stream: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (stream.length + 1)))].sort((a, b) => a - b);
  return [0, ...sorted].map((start, index) => stream.subarray(start, sorted[index] ?? stream.length));
}

test('the lines do not depend on where the stream is cut', () => {
  const token = fc.oneof(
    fc
      .constantFrom(
        '\n',
        '\r\n',
        '\r',
        '\n\n',
        '{"a":1}',
        '€',
        '🎈',
        'é',
        'x'.repeat(MAX - 1),
        'y'.repeat(MAX),
        '\ufeff',
      )
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 24 }), fc.array(fc.nat(), { maxLength: 12 }), (tokens, places) => {
      const stream = Buffer.concat(tokens);

      expect(split(cut(stream, places), MAX)).toEqual(expected(stream));
      expect(
        split(
          [...stream].map((byte) => Buffer.from([byte])),
          MAX,
        ),
      ).toEqual(expected(stream));
    }),
    { numRuns: 2_000 },
  );
});

test('both line endings are taken off, and empty lines left out', () => {
  expect(split([Buffer.from('a\r\n\n\r\nb\n \nc')])).toEqual(lines('a', 'b', ' ', 'c'));
});

test('a line of exactly the limit passes, one byte more does not, and the line after it does', () => {
  const [fits, over] = ['f'.repeat(MAX), 'o'.repeat(MAX + 1)];

  expect(split([Buffer.from(`${fits}\r\n${over}\r\n${fits}\n${over}\n{}\n`)], MAX)).toEqual([
    `line ${fits}`,
    'oversize',
    `line ${fits}`,
    'oversize',
    'line {}',
  ]);
});

test('a line without end is reported as soon as it passes the limit, once, and not kept', () => {
  const oversizes: number[] = [];
  const splitter = new LineSplitter(
    { line: () => expect.unreachable(), oversize: (bytes) => oversizes.push(bytes) },
    1_000_000,
  );
  const chunk = Buffer.alloc(65_536, 'x');
  const before = process.memoryUsage().arrayBuffers;

  for (let count = 0; count < 2_000; count++) splitter.push(chunk);

  expect(oversizes).toEqual([16 * 65_536]);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_000_000);
});

test('16 MiB pass by default, and come byte for byte', () => {
  const line = 'é'.repeat(8 * 1024 * 1024);
  const bytes = Buffer.from(`${line}\n`);

  const seen = split(Array.from({ length: 257 }, (_, index) => bytes.subarray(index * 65_536, (index + 1) * 65_536)));

  expect(seen[0] === `line ${line}` && seen.length === 1).toBe(true);
  expect(split([Buffer.alloc(LARGE + 1, 'x')])).toEqual(['oversize']);
});

test('a line that comes byte by byte takes memory for its bytes, not for its chunks', () => {
  const seen: number[] = [];
  const splitter = new LineSplitter(
    { line: (text) => seen.push(text.length), oversize: () => expect.unreachable() },
    LARGE,
  );
  const byte = Buffer.from('x');
  const before = process.memoryUsage();

  for (let count = 0; count < 2_000_000; count++) splitter.push(byte);
  const during = process.memoryUsage();
  splitter.push(Buffer.from('\n'));

  expect(seen).toEqual([2_000_000]);
  expect(during.arrayBuffers - before.arrayBuffers).toBeLessThan(16_000_000);
  expect(during.heapUsed - before.heapUsed).toBeLessThan(64_000_000);
});
