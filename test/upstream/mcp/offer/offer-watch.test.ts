// News of an offer that never end: read ever less often, and the last of them is never missed.
import { EventEmitter, once } from 'node:events';
import { expect, test } from 'vitest';
import type { Connection } from '../../../../src/upstream/mcp/connect/connection.ts';
import { OfferWatch } from '../../../../src/upstream/mcp/offer/offer-watch.ts';

const legacy = { era: 'legacy' } as unknown as Connection;

test('an offer that changes without end is read ever less often', async () => {
  const [reads, news]: [number[], EventEmitter] = [[], new EventEmitter()];
  const watch: OfferWatch = new OfferWatch(legacy, {
    changed: () => {
      reads.push(performance.now());
      setImmediate(() => watch.changed());
      if (reads.length === 5) news.emit('enough');
      return Promise.resolve();
    },
    updated: () => undefined,
  });
  const enough = once(news, 'enough');

  watch.changed();
  await enough;
  watch.stop();

  const gaps = reads.slice(1).map((at, index) => at - (reads[index] ?? 0));
  // each wait is twice the one before it, from 100 ms on; a timer may be a millisecond early
  for (const [index, gap] of gaps.entries()) expect(gap).toBeGreaterThanOrEqual(100 * 2 ** index - 2);
});

test('a change that comes while the offer is read is read too, and many of them once', async () => {
  const news = new EventEmitter();
  let reads = 0;
  const watch: OfferWatch = new OfferWatch(legacy, {
    changed: () => {
      if (++reads === 1) for (let change = 0; change < 100; change++) watch.changed();
      else news.emit('again');
      return Promise.resolve();
    },
    updated: () => undefined,
  });
  const again = once(news, 'again');

  for (let change = 0; change < 100; change++) watch.changed();
  await again;
  watch.stop();

  expect(reads).toBe(2);
});
