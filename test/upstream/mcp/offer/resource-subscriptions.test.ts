// Who follows which resource of a server: what stands while there is no connection, and what becomes of it on the next.
import { expect, test } from 'vitest';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import { GatewayError } from '../../../../src/core/errors.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import { type Live, ResourceSubscriptions } from '../../../../src/upstream/mcp/offer/resource-subscriptions.ts';

const ONE = { uri: 'x:///a', holder: 'one' };

/** A server at rest, that is connected when the test says so, and answers subscriptions with this. */
function setup(reply: JsonObject = { result: {} }) {
  const asked: unknown[] = [];
  const request = ({ method, params }: { method: string; params: JsonObject }) => {
    asked.push([method, params.uri]);
    return Promise.resolve(reply);
  };
  const capabilities = { resources: { subscribe: true } };
  const live = { connection: { era: 'legacy', handshake: { capabilities }, request } } as unknown as Live;
  const subscriptions = new ResourceSubscriptions('s', 1_000);
  const opening = Promise.withResolvers<Live>();
  const connect = () => {
    const resumed = subscriptions.resume(live);
    opening.resolve(live);
    return resumed;
  };
  const signal = new Cancellation();
  const following = subscriptions.follow(ONE, { current: undefined, acquire: () => opening.promise }, signal);
  following.catch(() => undefined);
  return { asked, subscriptions, connect, fail: opening.reject, following, signal };
}

test('what is followed while there is no connection is subscribed to once on the next, and only then is it followed', async () => {
  const { asked, subscriptions, connect, following } = setup();
  expect(asked).toEqual([]);
  await connect();
  await following;

  expect(asked).toEqual([['resources/subscribe', 'x:///a']]);
  expect(subscriptions.size).toBe(1);
});

test('what the next connection refuses is told to whoever waits for it, and is followed no longer', async () => {
  const { subscriptions, connect, following } = setup({ error: { code: -32602, message: 'no such thing' } });
  await connect();

  await expect(following).rejects.toThrow('refused the subscription: no such thing');
  expect(subscriptions.size).toBe(0);
});

test('where the server cannot be connected the subscription stands', async () => {
  const { subscriptions, fail, following } = setup();
  fail(new GatewayError('upstream_unreachable', 'it is down'));
  await following;

  expect(subscriptions.size).toBe(1);
});

test('whoever gives up or lets go while the server is being connected is not subscribed there', async () => {
  const gone = setup();
  gone.signal.abort();
  gone.fail(new GatewayError('cancelled', 'the caller left'));
  await expect(gone.following).rejects.toThrow('the caller left');
  const left = setup();
  left.subscriptions.remove(ONE.uri, ONE.holder, undefined);
  await left.connect();
  await left.following;

  expect([gone.subscriptions.size, left.subscriptions.size, left.asked]).toEqual([0, 0, []]);
});
