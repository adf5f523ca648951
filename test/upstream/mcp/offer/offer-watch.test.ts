// Changes of an offer without end are read less and less often, but the last one is always read; a modern server may grant only some of them.
import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { Connection, ConnectionRequest } from '../../../../src/upstream/mcp/connect/connection.ts';
import { OfferWatch } from '../../../../src/upstream/mcp/offer/offer-watch.ts';

const legacy = { era: 'legacy' } as unknown as Connection;

test('an offer that changes without end is read ever less often', async () => {
  const [reads, news]: [number[], EventEmitter] = [[], new EventEmitter()];
  const watch: OfferWatch = new OfferWatch(legacy, {
    offerChanged: () => {
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
    offerChanged: () => {
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

/** Watches a modern server that answers each `subscriptions/listen` like this; `asked` are the resources that each one requests. */
function listening(answer: (asked: string[]) => { granted: string[] } | { error: object }) {
  const asked: string[][] = [];
  const request = ({ params, onNotification }: ConnectionRequest) => {
    const { resourceSubscriptions = [] } = params.notifications as { resourceSubscriptions?: string[] };
    asked.push(resourceSubscriptions);
    const answered = answer(resourceSubscriptions);
    if ('error' in answered) return Promise.resolve(answered);
    const notifications = { resourceSubscriptions: answered.granted };
    onNotification?.('notifications/subscriptions/acknowledged', { notifications });
    return new Promise(() => undefined);
  };
  const connection = { era: 'modern', handshake: { capabilities: {} }, request } as unknown as Connection;
  const watch = new OfferWatch(connection, { offerChanged: () => Promise.resolve(), updated: () => undefined });
  onTestFinished(() => watch.stop());
  return { asked, watch };
}

test('what a modern server leaves out of its acknowledgement is not granted, and is asked for again by whoever wants it next', async () => {
  let grants = ['b'];
  const { asked, watch } = listening(() => ({ granted: grants }));
  expect(await Promise.all([watch.follow('a', true), watch.follow('b', true)])).toEqual([false, true]);
  grants = ['a', 'b'];
  expect(await Promise.all([watch.follow('a', true), watch.follow('b', true)])).toEqual([true, true]);
  expect(asked).toEqual([
    ['a', 'b'],
    ['b', 'a'],
  ]);
});

test('a modern server that takes no listening grants nothing', async () => {
  const { watch } = listening(() => ({ error: { code: -32601, message: 'no such method' } }));
  expect(await watch.follow('a', true)).toBe(false);
});
