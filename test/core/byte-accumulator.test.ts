// Bytes in pieces: what comes out is what went in, and costs no more however small the pieces are.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteAccumulator } from '../../src/core/byte-accumulator.ts';

test('whatever the pieces, they are held as one, also when others were held before', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 4 }), (turns) => {
      const bytes = new ByteAccumulator();
      for (const turn of turns) {
        for (const piece of turn) bytes.push(Buffer.from(piece));
        const whole = Buffer.concat(turn);
        expect(bytes.length).toBe(whole.length);
        expect(bytes.bytes().equals(whole)).toBe(true);
        bytes.clear();
        expect(bytes.length).toBe(0);
        expect(bytes.bytes()).toHaveLength(0);
      }
    }),
  );
});

test('pieces are not written to', () => {
  const first = Buffer.from('first');
  const bytes = new ByteAccumulator();
  bytes.push(first);
  bytes.push(Buffer.from('second'));
  bytes.clear();
  bytes.push(Buffer.from('third'));
  bytes.push(Buffer.from('fourth'));
  expect(first.toString()).toBe('first');
});

test('a million pieces of one byte hold no more than two megabytes', () => {
  const before = process.memoryUsage().arrayBuffers;
  const bytes = new ByteAccumulator();
  const whole = Buffer.alloc(1 << 20, 'x');
  for (let at = 0; at < whole.length; at++) bytes.push(whole.subarray(at, at + 1));
  expect(bytes.bytes().equals(whole)).toBe(true);
  expect(bytes.bytes().buffer.byteLength).toBeLessThanOrEqual(2 << 20);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
});
