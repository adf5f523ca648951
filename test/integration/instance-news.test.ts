// What an instance of one session says, and what it is told, is that session's alone; and what is lost with it is made again.
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, type StartOptions } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { answer, legacy, said, startScripted, tool } from './harness/scripted.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusesOf, statusOf, statusUntil, until } from './harness/status.ts';

const PRIVATE = fixture('private-stdio.ts');
const SESSION = { ...PRIVATE, isolation: 'session' };
const LIST_CHANGED = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';

async function start(options: StartOptions): Promise<RunningGateway> {
  const gateway = await openTried(options);
  // that the first reading is news is told a moment later
  const isOld = ({ offerReadAt = '' }) => Date.now() - Date.parse(offerReadAt) > 100;
  await until(
    () => statusesOf(gateway),
    (all) => all.every(isOld),
  );
  return gateway;
}

function two(gateway: RunningGateway, capabilities: JsonObject = {}): Promise<[SessionClient, SessionClient]> {
  return Promise.all([
    SessionClient.open(gateway.origin, { capabilities }),
    SessionClient.open(gateway.origin, { capabilities }),
  ]);
}

test('a tool that one session’s instance announces is that session’s: the others neither hear of it, nor see it, nor call it', async () => {
  const gateway = await start({ config: { mcpServers: { s: SESSION } } });
  const [one, other] = await two(gateway);
  const [{ self }] = [await one.facts('s'), await other.facts('s')];
  await one.call('s__learn', { name: 'extra' });
  await one.news.inbox.find({ method: LIST_CHANGED });

  expect(await one.tools()).toContain('s__extra');
  expect(await one.call('s__extra')).toBe(`extra of ${self}`);
  expect(await other.tools()).not.toContain('s__extra');
  expect(await other.call('s__extra')).toMatch(/-32602/);
  await other.call('s__learn', { name: 'own' });
  await other.news.inbox.find({ method: LIST_CHANGED });
  expect(await other.tools()).toContain('s__own');
  expect(other.heard(LIST_CHANGED)).toBe(1);
  expect(one.heard(LIST_CHANGED)).toBe(1);
});

test('what was only announced, and did not change, is no news', async () => {
  const gateway = await start({ config: { mcpServers: { s: SESSION } } });
  const [one] = await two(gateway);
  for (let time = 0; time < 20; time++) await one.call('s__announce');
  await one.call('s__learn', { name: 'extra' });
  await one.news.inbox.find({ method: LIST_CHANGED });
  expect(await one.tools()).toContain('s__extra');
  expect(one.heard(LIST_CHANGED)).toBe(1);
});

test('what a session’s instance alone offered is gone with the instance, and its session hears of it', async () => {
  const gateway = await start({ config: { mcpServers: { s: SESSION } } });
  const [one] = await two(gateway);
  await one.call('s__learn', { name: 'extra' });
  await one.news.inbox.find({ method: LIST_CHANGED });
  await one.call('s__crash');
  await one.news.inbox.find({ method: LIST_CHANGED });
  expect(await one.tools()).not.toContain('s__extra');
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', restarts: 1 });
});

test('an update of a resource reaches the session whose instance told it, once, also when that instance is another by then', async () => {
  const gateway = await start({ config: { mcpServers: { s: SESSION } } });
  const [one, other] = await two(gateway);
  const uri = 'private:///a';
  for (const client of [one, other]) await client.request('resources/subscribe', { uri });
  await one.call('s__touch', { uri });
  await one.news.inbox.find({ method: UPDATED });
  await other.call('s__touch', { uri });
  await other.news.inbox.find({ method: UPDATED });
  expect([one.heard(UPDATED), other.heard(UPDATED)]).toEqual([1, 1]);

  const { self } = await one.facts('s');
  await one.call('s__crash');
  await statusUntil(gateway, 's', ({ instances }) => instances.filter(({ owner }) => owner).length === 2);
  const again = await one.facts('s');
  expect(again).toMatchObject({ subscribed: [uri], level: 'info' });
  expect(again.self).not.toBe(self);
  await one.news.inbox.find({ method: UPDATED }); // what changed meanwhile nobody knows, so it is told as changed
  await one.call('s__touch', { uri });
  await one.news.inbox.find({ method: UPDATED });
  expect(one.heard(UPDATED)).toBe(3);
  await one.request('resources/unsubscribe', { uri });
  expect((await one.facts('s')).subscribed).toEqual([]);
  expect(other.heard(UPDATED)).toBe(1);
});

test('roots are asked for right after the start, of the session whose instance it is, and its news of them go there alone', async () => {
  const mcpServers = { s: { ...fixture('private-stdio.ts', '--roots'), isolation: 'session' } };
  const gateway = await start({ config: { mcpServers } });
  const [one, other] = await two(gateway, { roots: { listChanged: true } });
  const answerRoots = async (client: SessionClient, uri: string) =>
    client.answer(await client.news.inbox.find({ method: 'roots/list' }), { roots: [{ uri }] });
  await Promise.all([
    one.facts('s'),
    other.facts('s'),
    answerRoots(one, 'file:///one'),
    answerRoots(other, 'file:///other'),
  ]);
  expect((await one.facts('s')).roots).toEqual({ roots: [{ uri: 'file:///one' }] });
  expect((await other.facts('s')).roots).toEqual({ roots: [{ uri: 'file:///other' }] });

  await one.notify('notifications/roots/list_changed');
  await answerRoots(one, 'file:///new');
  expect(await one.facts('s')).toMatchObject({ roots: { roots: [{ uri: 'file:///new' }] }, rootsChanges: 1 });
  expect(await other.facts('s')).toMatchObject({ roots: { roots: [{ uri: 'file:///other' }] }, rootsChanges: 0 });
  // whose roots they are is plain, so nothing has to run one at a time for it
  expect((await statusOf(gateway, 's')).isolation.learned).toEqual([]);
});

test('log levels: a shared instance sends the most that anybody wants, filtered for each; a session’s own sends what it wants', async () => {
  const gateway = await start({ config: { mcpServers: { all: { ...PRIVATE, isolation: 'shared' }, own: SESSION } } });
  const [loud, quiet] = await two(gateway);
  await loud.request('logging/setLevel', { level: 'debug' });
  const linesOf = async (client: SessionClient, server: string) => {
    const call = await client.start(`${server}__say`, { label: 'line' });
    await call.text;
    return call.inbox.all.flatMap(({ method, params }) =>
      method === 'notifications/message' ? [(params as JsonObject).level] : [],
    );
  };

  expect(await linesOf(loud, 'all')).toEqual(['debug', 'info', 'error']);
  expect(await linesOf(quiet, 'all')).toEqual(['info', 'error']);
  expect((await quiet.facts('all')).level).toBe('debug');
  expect([(await loud.facts('own')).level, (await quiet.facts('own')).level]).toEqual(['debug', 'info']);
  await loud.request('logging/setLevel', { level: 'error' });
  expect((await loud.facts('own')).level).toBe('error');
  expect((await loud.facts('all')).level).toBe('debug');
});

test('a session that the server forgot is opened again with its level and its subscriptions, and the call is sent again once', async () => {
  const sessions = new Set<string>();
  const told: string[] = [];
  const server = await startScripted(
    legacy(
      () => [tool('where')],
      sessions,
      (visit) => {
        const session = String(visit.headers['mcp-session-id']);
        if (visit.rpc === 'initialize') {
          const id = `s${sessions.size + 1}-${Math.random()}`;
          sessions.add(id);
          const capabilities = { tools: {}, resources: { subscribe: true }, logging: {} };
          answer(
            visit,
            { protocolVersion: '2025-06-18', capabilities, serverInfo: { name: 'x', version: '1' } },
            { 'mcp-session-id': id },
          );
          return undefined;
        }
        if (!sessions.has(session)) return undefined;
        if (visit.rpc === 'resources/templates/list') return { resourceTemplates: [] };
        if (visit.rpc === 'resources/list') return { resources: [{ uri: 'x:///a', name: 'a' }] };
        if (visit.rpc === 'logging/setLevel' || visit.rpc === 'resources/subscribe') {
          told.push(
            `${session.split('-')[0] ?? ''} ${visit.rpc} ${JSON.stringify(visit.params.level ?? visit.params.uri)}`,
          );
          return {};
        }
        return visit.rpc === 'tools/call' ? said(session.split('-')[0] ?? '') : undefined;
      },
    ),
  );
  onTestFinished(() => server.stop());
  const gateway = await start({ config: { mcpServers: { s: { url: server.url } } } });
  const [one] = await two(gateway);
  await one.request('logging/setLevel', { level: 'debug' });
  await one.request('resources/subscribe', { uri: 'x:///a' });
  const first = await one.call('s__where');
  const live = [...sessions];
  sessions.delete(live.find((session) => session.startsWith(`${first}-`)) ?? '');
  sessions.add('placeholder-0');
  const calls = server.count('tools/call');
  const second = await one.call('s__where');

  expect(second).not.toBe(first);
  expect(server.count('tools/call')).toBe(calls + 2);
  expect(told.filter((line) => line.startsWith(`${second} `)).sort()).toEqual([
    `${second} logging/setLevel "debug"`,
    `${second} resources/subscribe "x:///a"`,
  ]);
  expect((await statusOf(gateway, 's')).restarts).toBe(1);
});
