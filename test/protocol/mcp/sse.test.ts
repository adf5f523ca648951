// Server-sent events: what the writer writes the reader reads, wherever the bytes are cut; too much is told once, in linear time.
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { SSE_HEARTBEAT, type SseEvent, sseMessage, SseReader } from '../../../src/protocol/mcp/sse.ts';

interface Read {
  readonly events: SseEvent[];
  readonly oversize: number;
  readonly retries: number[];
}

/** Reads bytes in pieces of the sizes given, again and again. */
function readIn(bytes: Buffer, sizes: readonly number[], maxBytes = 1024 * 1024): Read {
  const events: SseEvent[] = [];
  const retries: number[] = [];
  let oversize = 0;
  const reader = new SseReader({
    maxBytes,
    onEvent: (event) => events.push(event),
    onOversize: () => (oversize += 1),
    onRetry: (ms) => retries.push(ms),
  });
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
    reader.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { events, oversize, retries };
}

const texts = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('\r', '\n', '\u2028', '\u2029', '\u0085', ':', ' ', '\0', '\ufeff', '\u{1f600}') }),
);

test('every message comes back as it was, wherever the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(texts, fc.boolean()), { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (values, sizes) => {
        const messages = values.map(([text]) => JSON.stringify({ text }));
        const stream = values.map(
          ([, beat], index) =>
            `${beat ? SSE_HEARTBEAT : ''}${sseMessage(messages[index] ?? '', beat ? `id-${index}` : undefined)}`,
        );

        expect(readIn(Buffer.from(stream.join('')), sizes).events).toEqual(
          messages.map((data, index) => ({
            event: 'message',
            data,
            id: values[index]?.[1] === true ? `id-${index}` : undefined,
          })),
        );
      },
    ),
  );
});

test('a character is whole at every cut, byte by byte and in two', () => {
  const json = JSON.stringify({ text: 'a\u00e9\u4e16\u{1f600}\u2028' });
  const bytes = Buffer.from(sseMessage(json));

  for (let cut = 1; cut < bytes.length; cut += 1)
    expect(readIn(bytes, [cut, bytes.length]).events.map(({ data }) => data)).toEqual([json]);
  expect(readIn(bytes, [1]).events.map(({ data }) => data)).toEqual([json]);
});

test.each(['\n', '\r', '\r\n'])('lines may end in %j, and data may have several', (end) => {
  const bytes = Buffer.from(
    ['\ufeffretry: 5', 'event: message', 'id: 7', 'data: a', 'data:b', ': comment', '', 'data', '', ''].join(end),
  );

  for (const size of [1, 2, 3, 100]) {
    const { events, retries } = readIn(bytes, [size]);
    expect(events.map(({ id, data }) => [id, data])).toEqual([
      ['7', 'a\nb'],
      [undefined, ''],
    ]);
    expect(retries).toEqual([5]);
  }
});

describe('An event over the limit', () => {
  const event = (length: number, unit = 'x') => sseMessage(unit.repeat(length));

  test('is told once, wherever the bytes are cut, and nothing comes after it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 2_000 }), (size, length) => {
        const { events, oversize } = readIn(Buffer.from(event(5) + event(length) + event(5)), [size], 1_000);

        expect([events.length, oversize]).toEqual(length > 1_000 ? [1, 1] : [3, 0]);
      }),
    );
  });

  test('is measured in bytes', () => {
    expect(readIn(Buffer.from(event(333, '\u4e16')), [100], 1_000)).toMatchObject({ oversize: 0 });
    expect(readIn(Buffer.from(event(334, '\u4e16')), [100], 1_000)).toMatchObject({ oversize: 1, events: [] });
  });

  test('is told although it never ends, and although comments stand in it', () => {
    expect(readIn(Buffer.from(`data: ${'x'.repeat(5_200)}`), [64], 1_000).oversize).toBe(1);
    expect(readIn(Buffer.from('data: xxxxxxxxxx\n: beat\n'.repeat(400)), [64], 1_000).oversize).toBe(1);
  });

  test('is not made of many small ones, nor of signs of life', () => {
    expect(readIn(Buffer.from(event(900).repeat(50)), [64], 1_000)).toMatchObject({
      oversize: 0,
      events: { length: 50 },
    });
    expect(readIn(Buffer.from(SSE_HEARTBEAT.repeat(5_000)), [64], 1_000).oversize).toBe(0);
  });
});

test('an event in small pieces is copied a few times, and not once for each piece', () => {
  const text = Buffer.from(sseMessage('x'.repeat(1024 * 1024)));
  const counted = vi.spyOn(Buffer.prototype, 'copy');
  const { events } = readIn(text, [256], 64 * 1024 * 1024);
  const copied = counted.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
  counted.mockRestore();

  expect(events).toHaveLength(1);
  expect(copied).toBeGreaterThan(text.length / 2); // else it is not counted where it is copied
  expect(copied).toBeLessThan(4 * text.length);
});
