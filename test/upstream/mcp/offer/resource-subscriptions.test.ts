// Subscriptions to the resources of a server: kept without a connection, and made again on the next one.
import { expect, test } from 'vitest';
import { Cancellation } from '../../../../src/core/cancellation.ts';
import { GatewayError } from '../../../../src/core/errors.ts';
import type { JsonObject } from '../../../../src/core/json.ts';
import {
  type Follower,
  type Live,
  ResourceSubscriptions,
} from '../../../../src/upstream/mcp/offer/resource-subscriptions.ts';

const followerOf = (key: string, mayHear: Follower['mayHear'] = () => true): Follower =>
  ({ key, mayHear, updated: () => undefined }) as unknown as Follower;
const ONE = { uri: 'x:///a', follower: followerOf('one') };
const TWO = { uri: 'x:///a', follower: followerOf('two') };

/** A server that is connected when the test says so, and answers subscriptions with this. */
function setup(reply: JsonObject | Promise<JsonObject> = { result: {} }) {
  const asked: unknown[] = [];
  const request = ({ method, params }: { method: string; params: JsonObject }) => {
    asked.push([method, params.uri]);
    return Promise.resolve(reply);
  };
  const capabilities = { resources: { subscribe: true } };
  const updates: string[] = [];
  const liveOn = () =>
    ({
      connection: { era: 'legacy', handshake: { capabilities }, request },
      updated: (uri: string) => updates.push(uri),
    }) as unknown as Live;
  const live = liveOn();
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
  return { asked, subscriptions, connect, live, liveOn, updates, fail: opening.reject, following, signal };
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
  left.subscriptions.remove(ONE.uri, ONE.follower.key, undefined);
  await left.connect();
  await left.following;

  expect([gone.subscriptions.size, left.subscriptions.size, left.asked]).toEqual([0, 0, []]);
});

test('what is asked about one resource follows each other: whoever comes while it is let go is subscribed after that', async () => {
  const replies: PromiseWithResolvers<JsonObject>[] = [];
  const { subscriptions, live } = setup();
  const asked: string[] = [];
  const request = ({ method }: { method: string }) => {
    asked.push(method);
    const reply = Promise.withResolvers<JsonObject>();
    replies.push(reply);
    return reply.promise;
  };
  const { handshake } = live.connection;
  const slow = { connection: { era: 'legacy', handshake, request } } as unknown as Live;
  const other = { uri: 'x:///b', follower: followerOf('one') };
  const first = subscriptions.add(other, slow);
  subscriptions.remove(other.uri, 'one', slow);
  const second = subscriptions.add({ ...other, follower: followerOf('two') }, slow);
  expect(asked).toEqual(['resources/subscribe']);
  for (const [index, next] of ['resources/unsubscribe', 'resources/subscribe'].entries()) {
    replies[index]?.resolve({ result: {} });
    await new Promise(setImmediate);
    expect(asked.slice(index + 1)).toEqual([next]);
  }
  replies[2]?.resolve({ result: {} });

  await Promise.all([first, second]);
});

test('what was told of on one connection is told as changed on the next, and what that refuses is followed no longer', async () => {
  const { subscriptions, connect, liveOn, updates, following } = setup();
  await connect();
  await following;
  expect(updates).toEqual([]);
  await subscriptions.resume(liveOn());
  expect(updates).toEqual([ONE.uri]);
  const refusing = setup({ error: { code: -32602, message: 'no such thing' } });
  refusing.following.catch(() => undefined);
  await subscriptions.resume(refusing.live);

  expect([subscriptions.size, refusing.updates]).toEqual([0, []]);
});

test('a connection that is lost while it is subscribed to lets everything stand', async () => {
  const { subscriptions, liveOn } = setup();
  const lost = setup(Promise.reject(new GatewayError('upstream_closed', 'it went away')));
  await subscriptions.resume(lost.live);
  expect(subscriptions.size).toBe(1);
  await subscriptions.resume(liveOn());

  expect(subscriptions.size).toBe(1);
});

test('what is given away is followed at whoever takes it, and told as changed there', async () => {
  const [one, other] = [setup(), setup()];
  one.subscriptions.adopt(TWO);
  for (const following of one.subscriptions.release()) other.subscriptions.adopt(following);
  await other.connect();
  const followers = [...other.subscriptions.followersOf(ONE.uri)];

  expect(one.subscriptions.size).toBe(0);
  expect(followers.map(({ key }) => key)).toEqual(['one', 'two']);
});

test('whoever follows what lies above hears of it where that may be heard of, and each once', () => {
  const { subscriptions } = setup();
  for (const uri of ['x:///a/', 'x:///a/b', 'x:///c']) subscriptions.adopt({ uri, follower: followerOf('two') });
  // the policy is checked for each notification: three followers of one resource have different permissions
  let hidden = 'x:///a/b';
  const asked: string[] = [];
  const mayHear = (server: string, uri: string) => {
    asked.push(server);
    return uri !== hidden;
  };
  subscriptions.adopt({ uri: 'x:///a', follower: followerOf('three', mayHear) });
  const keys = (uri: string) => [...subscriptions.followersOf(uri)].map(({ key }) => key).sort();

  expect(keys('x:///a/b')).toEqual(['one', 'two']);
  hidden = 'x:///a';
  expect(keys('x:///a/b')).toEqual(['one', 'two']);
  hidden = '';
  expect(keys('x:///a/b')).toEqual(['one', 'three', 'two']);
  expect(new Set(asked)).toEqual(new Set(['s']));
  expect(keys('x:///d')).toEqual([]);
});
