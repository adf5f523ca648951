// How the time to read an event grows with its size: a busy machine can disturb it, so the check counts copies instead.
import { expect, test } from 'vitest';
import { sseMessage, SseReader } from '../../src/protocol/mcp/sse.ts';

test('four times the bytes take about four times as long, also in small pieces', () => {
  const time = (bytes: number, size: number) => {
    const text = Buffer.from(sseMessage('x'.repeat(bytes)));
    let events = 0;
    const maxBytes = 64 * 1024 * 1024;
    const reader = new SseReader({ maxBytes, onEvent: () => (events += 1), onOversize: () => (events = NaN) });
    const before = performance.now();
    for (let at = 0; at < text.length; at += size) reader.push(text.subarray(at, at + size));
    expect(events).toBe(1);
    return performance.now() - before;
  };
  time(1024 * 1024, 65_536);

  for (const size of [65_536, 1_024]) {
    const small = Math.min(time(4 * 1024 * 1024, size), time(4 * 1024 * 1024, size));
    const large = Math.min(time(16 * 1024 * 1024, size), time(16 * 1024 * 1024, size));
    expect(large).toBeLessThan(10 * small + 50); // quadratic would be sixteen times and more
  }
});
