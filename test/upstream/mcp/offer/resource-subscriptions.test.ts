// Who follows which resource of a server: what stands while there is no connection, and what becomes of it on the next.
import { expect, test } from 'vitest';
import { type JsonObject } from '../../../../src/core/json.ts';
import { type Live, ResourceSubscriptions } from '../../../../src/upstream/mcp/offer/resource-subscriptions.ts';

/** A legacy connection whose server answers subscriptions with this. */
function live(reply: JsonObject) {
  const asked: unknown[] = [];
  const connection = {
    era: 'legacy',
    handshake: { capabilities: { resources: { subscribe: true } } },
    request: ({ method, params }: { method: string; params: JsonObject }) => {
      asked.push([method, params.uri]);
      return Promise.resolve(reply);
    },
  };
  return { asked, live: { connection } as unknown as Live };
}

test('what is followed while there is no connection is subscribed to once on the next', async () => {
  const { asked, live: next } = live({ result: {} });
  const subscriptions = new ResourceSubscriptions('s', 1_000);
  await subscriptions.add('x:///a', 'one', undefined);
  await subscriptions.resume(next);
  await subscriptions.resumed('x:///a');

  expect(asked).toEqual([['resources/subscribe', 'x:///a']]);
  expect(subscriptions.size).toBe(1);
});

test('what the next connection refuses is told to whoever waits for it, and is followed no longer', async () => {
  const { live: next } = live({ error: { code: -32602, message: 'no such thing' } });
  const subscriptions = new ResourceSubscriptions('s', 1_000);
  await subscriptions.add('x:///a', 'one', undefined);
  await subscriptions.resume(next);

  await expect(subscriptions.resumed('x:///a')).rejects.toThrow('refused the subscription: no such thing');
  expect(subscriptions.size).toBe(0);
});

test('whoever lets go while the connection is being opened is not subscribed there', async () => {
  const { asked, live: next } = live({ result: {} });
  const subscriptions = new ResourceSubscriptions('s', 1_000);
  await subscriptions.add('x:///a', 'one', undefined);
  subscriptions.remove('x:///a', 'one', undefined);
  await subscriptions.resume(next);
  await subscriptions.resumed('x:///a');

  expect(asked).toEqual([]);
});
