// The endpoint of older revisions of a composed gateway: sessions, what belongs to one, and what ends with it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import {
  errorOf,
  initialize,
  type LegacySession,
  messageOf,
  MODERN,
  openSession,
  resultOf,
  type Sent,
  send,
  stream,
} from '../../integration/harness/raw.ts';
import { openEvents, said } from '../../integration/harness/scripted.ts';
import { Composition } from './composition.ts';

let gateway: Composition;
let session: LegacySession;
beforeAll(async () => {
  gateway = await Composition.startShared({
    servers: {
      s: {
        tools: ['echo', 'hold', 'talk'],
        resources: ['mem://a'],
        script: (visit) => {
          if (visit.rpc !== 'tools/call' || visit.params.name !== 'talk') return undefined;
          const say = openEvents(visit);
          for (const level of ['debug', 'warning', 'error'])
            say({ method: 'notifications/message', params: { level, data: level } });
          say({ id: visit.id ?? null, result: said('done') });
          visit.response.end();
          return undefined;
        },
      },
    },
  });
  session = await openSession(gateway.origin);
});
afterAll(() => gateway.close());

const begin = (params: object, path = '/mcp'): Sent => ({
  path,
  headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
});
const asked = (method: string, params: JsonObject = {}) => send(gateway.origin, session.request(method, params));
const held = (id: number) => session.request('tools/call', { name: 's__hold', arguments: {} }, { id });

test('initialize agrees on a revision and tells what is offered', async () => {
  const newest = await send(gateway.origin, begin({ protocolVersion: '2025-11-25', capabilities: {} }));
  const older = await send(gateway.origin, begin({ protocolVersion: '2025-03-26', capabilities: {} }, '/mcp/s/s'));

  expect(resultOf(newest)).toMatchObject({
    protocolVersion: '2025-11-25',
    serverInfo: { name: 'mcp-gateway' },
    capabilities: { tools: { listChanged: true }, logging: {} },
  });
  expect(newest.headers['mcp-session-id']).toMatch(/^[\w-]{32}$/);
  expect(resultOf(older)).toMatchObject({ protocolVersion: '2025-03-26' });
});

test('initialize passes on the instructions of the servers', async () => {
  const instructed = await Composition.start({
    servers: {
      s: {
        script: ({ rpc }) =>
          rpc === 'server/discover'
            ? {
                resultType: 'complete',
                supportedVersions: [MODERN],
                capabilities: { tools: {} },
                instructions: 'Use it well.',
                ttlMs: 0,
                cacheScope: 'public',
              }
            : undefined,
      },
    },
  });
  const agreed = { protocolVersion: '2025-11-25', capabilities: {} };

  for (const path of ['/mcp', '/mcp/s/s'])
    expect(resultOf(await send(instructed.origin, begin(agreed, path))).instructions).toContain('Use it well.');
  expect(resultOf(await send(gateway.origin, begin(agreed)))).not.toHaveProperty('instructions');
});

test.for<[string, () => Sent, number, number]>([
  ['initialize without a version', () => begin({ capabilities: {} }), 200, -32602],
  ['initialize without capabilities', () => begin({ protocolVersion: '2025-11-25' }), 200, -32602],
  [
    'initialize at a server that there is not',
    () => begin({ protocolVersion: '2025-11-25', capabilities: {} }, '/mcp/s/nobody'),
    404,
    -32601,
  ],
  ['a request that is no JSON', () => ({ ...session.request('ping'), headers: {} }), 415, -32600],
  [
    'one of a session that there is not',
    () => session.request('ping', {}, { headers: { 'Mcp-Session-Id': 'x' } }),
    404,
    -33001,
  ],
  ['one of the session of another endpoint', () => ({ ...session.request('ping'), path: '/mcp/s/s' }), 404, -33001],
  [
    'a version header that no revision has',
    () => session.request('ping', {}, { headers: { 'MCP-Protocol-Version': '2024-01-01' } }),
    400,
    -32022,
  ],
  ['a method that there is not', () => session.request('tools/nothing'), 200, -32601],
  ['a method of the modern era', () => session.request('subscriptions/listen'), 200, -32601],
  ['a log level that there is not', () => session.request('logging/setLevel', { level: 'loud' }), 200, -32602],
  ['a batch in a revision without', () => session.post('[]'), 400, -32600],
  ['a stream to a client that takes none', () => session.get({ Accept: 'application/json' }), 405, -32600],
])('is refused: %s', async ([, sent, status, code]) => {
  const answer = await send(gateway.origin, sent());

  expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
});

test('a server that there is not is named to its client', async () => {
  const answer = await send(
    gateway.origin,
    begin({ protocolVersion: '2025-11-25', capabilities: {} }, '/mcp/s/nobody'),
  );

  expect(errorOf(answer).message).toBe('There is no server named "nobody" here.');
});

test('a session is asked and told without a call being recorded for what is none', async () => {
  const before = gateway.records().length;

  const ping = await asked('ping');
  const level = await asked('logging/setLevel', { level: 'error' });
  const notified = await send(gateway.origin, session.notification('notifications/roots/list_changed'));
  const answered = await send(gateway.origin, session.post('{"jsonrpc":"2.0","id":9,"result":{}}'));

  expect([resultOf(ping), resultOf(level)]).toEqual([{}, {}]);
  expect([notified.status, notified.text, answered.status]).toEqual([202, '', 202]);
  expect(gateway.records()).toHaveLength(before);
});

test('calls of a session are recorded with what it said of itself, and its log level holds', async () => {
  await asked('logging/setLevel', { level: 'error' });
  const opened = await stream(gateway.origin, session.request('tools/call', { name: 's__talk', arguments: {} }));
  await opened.inbox.find({ id: 1 });

  expect(opened.inbox.all.filter(({ method }) => method === 'notifications/message')).toMatchObject([
    { params: { level: 'error' } },
  ]);
  expect(gateway.record('tools/call')).toMatchObject({
    status: 'ok',
    client: { name: 'raw', version: '1' },
    downstream: { era: 'legacy', transport: 'streamable-http' },
  });
});

describe('a call in flight', () => {
  test('is cancelled by its client, and not answered then', async () => {
    const opened = await stream(gateway.origin, held(21));
    await gateway.fake().holds(1);

    await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 21 }));
    await gateway.fake().holdsNone();
    await opened.ended;

    expect(opened.inbox.all).toEqual([]);
    await gateway.toldOf('call');
    expect(gateway.record('tools/call')).toMatchObject({ status: 'cancelled' });
  });

  test('keeps its id to itself', async () => {
    const first = send(gateway.origin, held(22));
    await gateway.fake().holds(1);

    const second = await send(gateway.origin, held(22));
    gateway.fake().release();

    expect(errorOf(second)).toMatchObject({ code: -32600 });
    expect(resultOf(await first)).toMatchObject({ content: [{ text: 'released' }] });
    expect(
      errorOf(
        await send(gateway.origin, { ...held(22), body: held(22).body?.toString().replace('hold', 'none') ?? '' }),
      ),
    ).toMatchObject({ code: -32602 });
  });
});

test('a session that ends takes its calls and streams with it', async () => {
  const ending = await openSession(gateway.origin);
  const standing = await stream(gateway.origin, ending.get());
  await standing.firstId;
  const call = await stream(gateway.origin, ending.request('tools/call', { name: 's__hold', arguments: {} }));
  await gateway.fake().holds(1);

  const ended = await send(gateway.origin, ending.delete());
  await gateway.fake().holdsNone();
  await Promise.all([standing.ended, call.ended]);
  const again = await send(gateway.origin, ending.request('ping'));

  expect([ended.status, again.status]).toEqual([204, 404]);
});

test('a client comes back to the stream of a call for what it missed, but not where nothing more will come', async () => {
  const opened = await stream(gateway.origin, session.request('tools/call', { name: 's__talk', arguments: {} }));
  await opened.inbox.find({ id: 1 });
  await opened.ended;
  const ids = Array.from(opened.raw().matchAll(/^id: ?(.*)$/gm), ([, id = '']) => id);

  const again = await stream(gateway.origin, session.get({ 'Last-Event-ID': ids[0] ?? '' }));
  const answered = await again.inbox.find({ id: 1 });
  const over = await send(gateway.origin, session.get({ 'Last-Event-ID': ids.at(-1) ?? '' }));
  const foreign = await send(gateway.origin, session.get({ 'Last-Event-ID': 'nobody-1' }));

  expect(answered.result).toMatchObject({ content: [{ text: 'done' }] });
  expect(over.status).toBe(204);
  expect([foreign.status, errorOf(foreign).code]).toEqual([400, -32600]);
});

test('a batch of the revision that has them is answered in one, each of its calls recorded', async () => {
  const old = await openSession(gateway.origin, { version: '2025-03-26' });
  const before = gateway.records().length;
  const message = (id: number, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
  const batch = [
    message(1, 'ping'),
    message(2, 'tools/call', { name: 's__echo', arguments: {} }),
    message(3, 'tools/call', { name: 's__none', arguments: {} }),
    { jsonrpc: '2.0', method: 'notifications/initialized' },
  ];

  const answer = await send(gateway.origin, old.post(JSON.stringify(batch)));
  const silent = await send(gateway.origin, old.post(JSON.stringify(batch.slice(3))));

  const data = /^data: (.*)$/m.exec(answer.text)?.[1] ?? answer.text;
  expect(JSON.parse(data)).toMatchObject([
    { id: 1, result: {} },
    { id: 2, result: { content: [{ text: 'echo' }] } },
    { id: 3, error: { code: -32602 } },
  ]);
  expect([silent.status, silent.text]).toEqual([202, '']);
  expect(gateway.records().slice(before)).toMatchObject([{ status: 'ok' }, { status: 'refused' }]);
});

test('tasks and the list of them are of the revision that has them', async () => {
  const old = await openSession(gateway.origin, { version: '2025-06-18' });

  const before = await send(gateway.origin, old.request('tasks/list'));
  const since = await asked('tasks/list');

  expect(errorOf(before)).toMatchObject({ code: -32601 });
  expect(resultOf(since)).toEqual({ tasks: [] });
  expect(gateway.record('tasks/list')).toMatchObject({ status: 'ok', decision: { allowed: true } });
});

test('initialize alone opens a session', async () => {
  const answer = await send(gateway.origin, { ...session.post(initialize()) });

  expect(messageOf(answer).result).toBeDefined();
  expect(answer.headers['mcp-session-id']).not.toBe(session.id);
});
