// Subscribing to a resource while a reload replaces its server.
import { expect, test } from 'vitest';
import { Cancellation } from '../../src/core/cancellation.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { DispatchParts } from '../../src/gateway/dispatch.ts';
import { subscribeTo } from '../../src/gateway/subscribe.ts';
import type { Follower } from '../../src/upstream/mcp/offer/resource-subscriptions.ts';

const TARGET = { kind: 'resource', server: 's', exposed: 'x:///a', original: 'x:///a' } as const;
const follower = { key: 'one' } as Follower;

/** Two servers of one name: the second comes while the first is asked, which then ends like this. */
function replaced(ending: () => Promise<void>) {
  const asked: string[] = [];
  const serverOf = (name: string, ended: () => Promise<void>) => ({
    follow: ({ uri }: { uri: string }) => {
      asked.push(`${name} follow ${uri}`);
      current = later;
      return ended();
    },
    unfollow: (uri: string, key: string) => asked.push(`${name} unfollow ${uri} ${key}`),
  });
  const later = serverOf('later', () => Promise.resolve());
  let current = serverOf('first', ending);
  const parts = { upstreams: { get: () => current } } as unknown as DispatchParts;
  return { asked, following: subscribeTo(TARGET, follower, { parts, signal: new Cancellation() }) };
}

test('a subscriber at a server that is replaced meanwhile is subscribed at the new one', async () => {
  const { asked, following } = replaced(() => Promise.resolve());
  await following;

  expect(asked).toEqual(['first follow x:///a', 'later follow x:///a']);
});

test('a subscriber that the replaced server refused is subscribed nowhere', async () => {
  const { asked, following } = replaced(() => Promise.reject(new GatewayError('upstream_closed', 'it went away')));

  await expect(following).rejects.toThrow('it went away');
  expect(asked).toEqual(['first follow x:///a', 'later unfollow x:///a one']);
});
