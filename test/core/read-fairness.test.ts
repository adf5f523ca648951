// Reading from a source that never ends is interrupted, so that the event loop serves everybody else.
import { expect, test } from 'vitest';
import { ReadFairness } from '../../src/core/in-flight.ts';

class Source {
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
}

test('a source is paused after 64 KiB, in however many pieces, and resumed when everybody else has had a turn', async () => {
  const [fairness, source] = [new ReadFairness(), new Source()];

  for (let piece = 0; piece < 63; piece++) fairness.read(1024, source);
  expect(source.calls).toEqual([]);
  fairness.read(1024, source);
  expect(source.calls).toEqual(['pause']);
  await new Promise((resolve) => setImmediate(resolve));

  expect(source.calls).toEqual(['pause', 'resume']);
});

test('what comes on several connections of one server is counted together', () => {
  const [fairness, first, second] = [new ReadFairness(), new Source(), new Source()];

  fairness.read(40 * 1024, first);
  fairness.read(40 * 1024, second);

  expect([first.calls, second.calls]).toEqual([[], ['pause']]);
});
