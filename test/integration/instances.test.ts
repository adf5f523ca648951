// Whose calls share a process or session of a server, as configured and as learned.
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, openGateway, workspace } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { modern, resultOf, send } from './harness/raw.ts';
import { legacy, said, startScripted, tool } from './harness/scripted.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusOf, statusUntil } from './harness/status.ts';

const AUTH = {
  tokens: [
    { id: 'alice', token: ALICE },
    { id: 'bob', token: BOB },
  ],
};
const ISOLATIONS = ['shared', 'session', 'principal', 'auto'] as const;
const PRIVATE = fixture('private-stdio.ts');
const ASKABLE = { elicitation: {} };

async function callModern(gateway: RunningGateway, name: string, token: string): Promise<string> {
  const headers = { Authorization: `Bearer ${token}` };
  const { content } = resultOf(await send(gateway.origin, modern('tools/call', { name }, { headers })));
  return (content as { text: string }[])[0]?.text ?? '';
}

/** Whose calls got where: two sessions of alice, one of bob, then modern calls of alice, alice and bob. */
async function placesOf(gateway: RunningGateway, name: string, where: (text: string) => string): Promise<string[]> {
  const places: string[] = [];
  for (const token of [ALICE, ALICE, BOB])
    places.push(where(await (await SessionClient.open(gateway.origin, { token })).call(name)));
  for (const token of [ALICE, ALICE, BOB]) places.push(where(await callModern(gateway, name, token)));
  const names = [...new Set(places)];
  return places.map((place) => 'ABCDEF'.charAt(names.indexOf(place)));
}

test('a process is shared as isolation says: by all, by session, by principal; auto shares until it learns better', async () => {
  const mcpServers = Object.fromEntries(ISOLATIONS.map((isolation) => [isolation, { ...PRIVATE, isolation }]));
  const gateway = await openTried({ config: { auth: AUTH, mcpServers } });
  const self = (text: string) => (JSON.parse(text) as { self: string }).self;

  const found: Record<string, string> = {};
  for (const isolation of ISOLATIONS)
    found[isolation] = (await placesOf(gateway, `${isolation}__facts`, self)).join('');

  expect(found).toEqual({ shared: 'AAAAAA', session: 'ABCDDE', principal: 'AABAAB', auto: 'AAAAAA' });
});

test('a session of an HTTP server is shared as isolation says; with auto a session id is enough to keep sessions apart', async () => {
  const sessions = new Set<string>();
  const server = await startScripted(
    legacy(
      () => [tool('where')],
      sessions,
      (visit) =>
        visit.rpc === 'tools/call' && sessions.has(String(visit.headers['mcp-session-id']))
          ? said(String(visit.headers['mcp-session-id']))
          : undefined,
    ),
  );
  onTestFinished(() => server.stop());
  const mcpServers = Object.fromEntries(ISOLATIONS.map((isolation) => [isolation, { url: server.url, isolation }]));
  const gateway = await openTried({ config: { auth: AUTH, mcpServers } });

  const found: Record<string, string> = {};
  for (const isolation of ISOLATIONS)
    found[isolation] = (await placesOf(gateway, `${isolation}__where`, (text) => text)).join('');

  expect(found).toEqual({ shared: 'AAAAAA', session: 'ABCDDE', principal: 'AABAAB', auto: 'ABCDDE' });
  const { isolation, instances } = await statusOf(gateway, 'auto');
  expect(isolation).toMatchObject({
    configured: 'auto',
    sharing: 'session',
    learned: [{ trait: 'stateful', why: 'it assigned a session id' }],
  });
  expect(instances.map(({ owner }) => owner?.replace(/session-\w+/, 'a session') ?? 'everybody')).toEqual([
    'everybody',
    'a session of alice',
    'a session of alice',
    'a session of bob',
    'alice',
    'bob',
  ]);
});

test('a question on a shared process is put to the one caller there is; from then on sessions are apart, after a restart too', async () => {
  const space = workspace({ mcpServers: { s: PRIVATE } });
  const first = await openGateway({ space });
  await first.attempted();
  const [one, two] = await Promise.all([
    SessionClient.open(first.origin, { capabilities: ASKABLE }),
    SessionClient.open(first.origin),
  ]);
  const before = [await one.facts('s'), await two.facts('s')];
  const call = await one.start('s__ask', { label: 'which color' });
  const question = await call.inbox.find({ method: 'elicitation/create' });
  await one.answer(question, { action: 'accept', content: { color: 'red' } });
  const answered = JSON.parse(await call.text) as { self: string; answer: JsonObject };
  const after = [await one.facts('s'), await two.facts('s')];
  const { isolation } = await statusOf(first, 's');
  await first.stop();

  expect(before[0]?.self).toBe(before[1]?.self);
  expect(answered).toMatchObject({ self: before[0]?.self, answer: { action: 'accept', content: { color: 'red' } } });
  expect(new Set([...before, ...after].map(({ self }) => self)).size).toBe(3);
  expect(isolation).toMatchObject({
    sharing: 'session',
    learned: [{ trait: 'asks', why: 'it asked elicitation/create' }],
  });

  const second = await openTried({ space });
  onTestFinished(() => space.remove());
  const selves = [
    (await (await SessionClient.open(second.origin)).facts('s')).self,
    (await (await SessionClient.open(second.origin)).facts('s')).self,
  ];
  expect(selves[0]).not.toBe(selves[1]);
  expect((await statusOf(second, 's')).isolation).toEqual(isolation);
  expect((await second.cli('servers', 's')).stdout).toMatch(/it asked elicitation\/create/);
});

test('with two calls in flight a question is refused and a log line is nobody’s; then calls run apart', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: PRIVATE } } });
  const [one, two] = await Promise.all([
    SessionClient.open(gateway.origin),
    SessionClient.open(gateway.origin, { capabilities: ASKABLE }),
  ]);
  const shared = (await one.facts('s')).self;
  void one.start('s__hold', {}, 7);
  await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 1);
  const said = await two.start('s__say', { label: 'of two' });
  await said.text;
  const refused = JSON.parse(await two.call('s__ask', { label: 'of two' })) as { answer: JsonObject };

  expect(refused.answer).toMatchObject({ data: { reason: 'question_unattributable' } });
  expect(said.inbox.all.filter(({ method }) => method === 'notifications/message')).toEqual([]);
  expect(one.heard('notifications/message') + two.heard('notifications/message')).toBe(0);
  const { tail, isolation } = await statusOf(gateway, 's');
  expect(tail).toEqual(expect.arrayContaining([expect.stringContaining('of two error')]));
  expect(isolation.sharing).toBe('session');
  expect((await two.facts('s')).self).not.toBe(shared);
  await one.notify('notifications/cancelled', { requestId: 7 });
});

test('where the configuration says shared, it stays shared whatever is learned', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: { ...PRIVATE, isolation: 'shared' } } } });
  const [one, two] = await Promise.all([SessionClient.open(gateway.origin), SessionClient.open(gateway.origin)]);
  expect(JSON.parse(await one.call('s__ask', { label: 'no' }))).toMatchObject({
    answer: { data: { reason: 'question_undeclared' } },
  });
  expect((await one.facts('s')).self).toBe((await two.facts('s')).self);
  expect((await statusOf(gateway, 's')).isolation).toMatchObject({ configured: 'shared', sharing: 'shared' });
});

test('an instance declares exactly what its caller declared; one that is shared declares no roots', async () => {
  const mcpServers = { own: { ...PRIVATE, isolation: 'session' }, all: { ...PRIVATE, isolation: 'shared' } };
  const gateway = await openTried({ config: { mcpServers } });
  const declared = { roots: { listChanged: true }, sampling: {}, elicitation: { form: {} }, experimental: { x: {} } };
  const [full, bare] = await Promise.all([
    SessionClient.open(gateway.origin, { capabilities: declared }),
    SessionClient.open(gateway.origin),
  ]);

  const { experimental: _not, ...carried } = declared;
  expect((await full.facts('own')).capabilities).toEqual(carried);
  expect((await bare.facts('own')).capabilities).toEqual({});
  expect(Object.keys((await full.facts('all')).capabilities).sort()).toEqual(['elicitation', 'sampling']);
});

test('an edit of isolation or of the limits of instances restarts nothing', async () => {
  const gateway = await openTried({ config: { mcpServers: { s: PRIVATE } } });
  const one = await SessionClient.open(gateway.origin);
  const { self } = await one.facts('s');
  gateway.write('mcp-gateway.json', { mcpServers: { s: { ...PRIVATE, isolation: 'session', instances: { max: 3 } } } });
  const status = await statusUntil(gateway, 's', ({ isolation }) => isolation.configured === 'session');

  expect(status).toMatchObject({ restarts: 0, pool: { max: 3 }, state: 'ready' });
  expect((await one.facts('s')).self).not.toBe(self);
  gateway.write('mcp-gateway.json', { mcpServers: { s: { ...PRIVATE, isolation: 'shared' } } });
  await statusUntil(gateway, 's', ({ isolation }) => isolation.configured === 'shared');
  expect((await one.facts('s')).self).toBe(self);
});
