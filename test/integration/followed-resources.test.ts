// What is followed, and what of it is heard: over edits of the configuration, under the policy in force, and of what lies below it.
import { expect, onTestFinished, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { type EventStream, modern as modernRequest, stream } from './harness/raw.ts';
import { type ResourceServer, startResourceServer } from './harness/resource-server.ts';
import { modern, openEvents, refuse, startScripted, type Visit } from './harness/scripted.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusUntil, until } from './harness/status.ts';

const UPDATED = 'notifications/resources/updated';
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

async function serving(uris: readonly string[], script?: Parameters<typeof startResourceServer>[1]) {
  const server = await startResourceServer(uris, script);
  onTestFinished(() => server.stop());
  return server;
}

/** A gateway before these servers, once it hears what they say. */
async function before(mcpServers: Record<string, JsonObject>, ...servers: ResourceServer[]): Promise<RunningGateway> {
  const gateway = await openTried({ config: { mcpServers } });
  await Promise.all(servers.map((server) => server.visited(({ http }) => http === 'GET')));
  return gateway;
}

async function listener(gateway: RunningGateway, uris: string[]): Promise<EventStream> {
  const notifications = { resourceSubscriptions: uris };
  return stream(gateway.origin, modernRequest('subscriptions/listen', { notifications }));
}

/** A session and a listener that follow these. */
async function following(gateway: RunningGateway, uris: string[]): Promise<[SessionClient, EventStream]> {
  const session = await SessionClient.open(gateway.origin);
  for (const uri of uris) expect(await session.request('resources/subscribe', { uri })).toEqual({});
  const listening = await listener(gateway, uris);
  expect(acknowledgedIn(await listening.inbox.find({ method: ACKNOWLEDGED }))).toEqual(uris);
  return [session, listening];
}

function acknowledgedIn({ params }: JsonObject): unknown {
  const { notifications } = params as { notifications: { resourceSubscriptions?: string[] } };
  return notifications.resourceSubscriptions;
}

/** The URIs of the updates that came. */
function heardBy({ inbox }: EventStream): unknown[] {
  return inbox.all.filter(({ method }) => method === UPDATED).map(({ params }) => isObject(params) && params.uri);
}

/** Waits until both have heard of this one. */
async function untilHeard(all: readonly EventStream[], uri: string): Promise<void> {
  for (const { inbox } of all) {
    for (;;) {
      const { params } = await inbox.find({ method: UPDATED });
      if (isObject(params) && params.uri === uri) break;
    }
  }
}

const isNew = ({ headers }: Visit) => headers['x-new'] === '1';

test('what is followed stays so when its server’s entry changes: it is asked for again, told as changed, and can be let go', async () => {
  const server = await serving(['r:///a']);
  const gateway = await before({ s: { url: server.url } }, server);
  const [session, listening] = await following(gateway, ['r:///a']);
  gateway.write('mcp-gateway.json', { mcpServers: { s: { url: server.url, headers: { 'x-new': '1' } } } });
  await server.visited((visit) => visit.rpc === 'resources/subscribe' && isNew(visit));
  await untilHeard([session.news, listening], 'r:///a');
  await server.visited((visit) => visit.http === 'GET' && isNew(visit));
  server.update('r:///a');
  await untilHeard([session.news, listening], 'r:///a');
  listening.close();
  expect(await session.request('resources/unsubscribe', { uri: 'r:///a' })).toEqual({});
  await server.visited((visit) => visit.rpc === 'resources/unsubscribe' && isNew(visit));

  expect(server.told).toEqual(['subscribe r:///a', 'subscribe r:///a', 'unsubscribe r:///a']);
});

test('a session’s own instance is brought back when its entry changes, and tells of what the session follows', async () => {
  const own = { ...fixture('private-stdio.ts'), isolation: 'session' };
  const gateway = await openTried({ config: { mcpServers: { s: own } } });
  const session = await SessionClient.open(gateway.origin);
  const uri = 'private:///a';
  await session.request('resources/subscribe', { uri });
  const { self } = await session.facts('s');
  gateway.write('mcp-gateway.json', { mcpServers: { s: { ...own, env: { ...own.env, NEW: '1' } } } });
  await untilHeard([session.news], uri);
  const facts = await session.facts('s');
  await session.call('s__touch', { uri });
  await untilHeard([session.news], uri);

  expect(facts.self).not.toBe(self);
  expect(facts.subscribed).toEqual([uri]);
});

test('what the changed server refuses, and what a removed one had, is followed no longer and can still be let go', async () => {
  let refuses = false;
  const server = await serving(['r:///a', 'r:///b'], (visit) =>
    refuses && visit.rpc === 'resources/subscribe' && visit.params.uri === 'r:///a'
      ? refuse(visit, 200, { message: 'no longer', named: true })
      : undefined,
  );
  const gateway = await before({ s: { url: server.url } }, server);
  const [session, listening] = await following(gateway, ['r:///a', 'r:///b']);
  refuses = true;
  gateway.write('mcp-gateway.json', { mcpServers: { s: { url: server.url, headers: { 'x-new': '1' } } } });
  await untilHeard([session.news, listening], 'r:///b');
  await server.visited((visit) => visit.http === 'GET' && isNew(visit));
  server.update('r:///a');
  server.update('r:///b');
  await untilHeard([session.news, listening], 'r:///b');
  gateway.write('mcp-gateway.json', { mcpServers: {} });
  const read = () => session.request('resources/read', { uri: 'r:///b' });
  await until(read, (answered) => 'error' in answered);
  const asked = server.told.length;
  gateway.write('mcp-gateway.json', { mcpServers: { s: { url: server.url } } });
  await until(read, (answered) => !('error' in answered));

  expect(heardBy(session.news)).toEqual(['r:///b', 'r:///b']);
  expect(heardBy(listening)).toEqual(['r:///b', 'r:///b']);
  expect(server.told.slice(asked)).toEqual([]);
  for (const uri of ['r:///a', 'r:///b']) expect(await session.request('resources/unsubscribe', { uri })).toEqual({});
});

test('of what policy denies by now nobody hears, and it can still be let go', async () => {
  const server = await serving(['r:///a', 'r:///b']);
  const gateway = await before({ s: { url: server.url } }, server);
  const [session, listening] = await following(gateway, ['r:///a', 'r:///b']);
  gateway.write('mcp-gateway.json', { mcpServers: { s: { url: server.url, resources: { deny: ['r:///a'] } } } });
  await until(
    () => session.request('resources/read', { uri: 'r:///a' }),
    (answered) => 'error' in answered,
  );
  server.update('r:///a');
  server.update('r:///b');
  await untilHeard([session.news, listening], 'r:///b');
  listening.close();
  const left = await session.request('resources/unsubscribe', { uri: 'r:///a' });
  await server.visited(({ rpc, params }) => rpc === 'resources/unsubscribe' && params.uri === 'r:///a');

  expect([heardBy(session.news), heardBy(listening)]).toEqual([['r:///b'], ['r:///b']]);
  expect(left).toEqual({});
});

test('whoever follows a resource hears of what lies below it, once, and of nothing that is denied or only begins alike', async () => {
  const server = await serving(['dir:///a/', 'dir:///b', 'dir:///b/x', 'dir:///end']);
  const entry = { url: server.url, resources: { deny: ['dir:///a/hidden*'] } };
  const gateway = await before({ s: entry }, server);
  const both = await following(gateway, ['dir:///a/', 'dir:///b', 'dir:///b/x', 'dir:///end']);
  const heard = ['dir:///a/', 'dir:///a/file', 'dir:///a/deep/file?x=/y', 'dir:///b/x', 'dir:///b/', 'dir:///end'];
  const unheard = ['dir:///a/hidden', 'dir:///a/hidden/x', 'dir:///a', 'dir:///bc', 'dir:///a/../c', 'dir:///b?x'];
  for (const uri of [...unheard, ...heard]) server.update(uri);
  const streams = [both[0].news, both[1]];
  await untilHeard(streams, 'dir:///end');

  for (const each of streams) expect(heardBy(each)).toEqual(heard);
});

test('what changes while a listener waits for its acknowledgement is told after it', async () => {
  const held = Promise.withResolvers<() => void>();
  const server = await serving(['r:///a', 'r:///b'], (visit) => {
    if (visit.rpc !== 'resources/subscribe' || visit.params.uri !== 'r:///b') return undefined;
    const tell = openEvents(visit);
    held.resolve(() => tell({ id: visit.id ?? null, result: {} }));
    return undefined;
  });
  const gateway = await before({ s: { url: server.url } }, server);
  const witness = await SessionClient.open(gateway.origin);
  await witness.request('resources/subscribe', { uri: 'r:///a' });
  const opening = listener(gateway, ['r:///a', 'r:///b']);
  const grant = await held.promise;
  server.update('r:///a');
  await untilHeard([witness.news], 'r:///a');
  grant();
  const { inbox } = await opening;
  await inbox.find({ method: UPDATED });

  expect(inbox.all.map(({ method }) => method)).toEqual([ACKNOWLEDGED, UPDATED]);
});

test('the acknowledgement names what a modern server granted, and a legacy subscription that it did not grant is refused', async () => {
  const server = await startScripted(
    modern(
      () => [],
      (visit) => {
        if (visit.rpc === 'resources/list') {
          const resources = ['r:///a', 'r:///b'].map((uri) => ({ uri, name: uri }));
          return { resultType: 'complete', ttlMs: 0, cacheScope: 'public', resources };
        }
        if (visit.rpc === 'resources/templates/list')
          return { resultType: 'complete', ttlMs: 0, cacheScope: 'public', resourceTemplates: [] };
        if (visit.rpc !== 'subscriptions/listen') return undefined;
        const { resourceSubscriptions, ...lists } = visit.params.notifications as { resourceSubscriptions?: string[] };
        const granted = resourceSubscriptions?.filter((uri) => uri !== 'r:///a');
        const notifications = { ...lists, ...(granted && { resourceSubscriptions: granted }) };
        const _meta = { 'io.modelcontextprotocol/subscriptionId': visit.id ?? null };
        openEvents(visit)({ method: ACKNOWLEDGED, params: { _meta, notifications } });
        return undefined;
      },
      { resources: { subscribe: true } },
    ),
  );
  onTestFinished(() => server.stop());
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  await statusUntil(gateway, 's', ({ state }) => state === 'ready');
  const uris = ['r:///a', 'r:///b'];
  const [first, second] = [await listener(gateway, uris), await listener(gateway, uris)];
  const session = await SessionClient.open(gateway.origin);

  for (const { inbox } of [first, second])
    expect(acknowledgedIn(await inbox.find({ method: ACKNOWLEDGED }))).toEqual(['r:///b']);
  expect(await session.request('resources/subscribe', { uri: 'r:///b' })).toEqual({});
  expect(JSON.stringify(await session.request('resources/subscribe', { uri: 'r:///a' }))).toContain('did not grant');
});
