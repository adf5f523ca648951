// HTTP+SSE, the transport of 2024-11-05: real clients, and everything that its two halves can do wrong with each other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { errorOf, type EventStream, initialize, modern, modernMeta, send, type Sent, stream } from './harness/raw.ts';

const TOKENS = { ann: 'a-token-of-24-characters-a', bob: 'b-token-of-24-characters-b' };

let gateway: RunningGateway;
let guarded: RunningGateway;

beforeAll(async () => {
  const mcpServers = {
    echo: fixture('echo-stdio.ts'),
    sdk: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'legacy'),
  };
  gateway = await openGateway({ config: { limits: { body: '64KiB', sessions: 20 }, mcpServers } });
  const tokens = Object.entries(TOKENS).map(([id, token]) => ({ id, token }));
  guarded = await openGateway({ config: { auth: { tokens }, mcpServers } });
  await Promise.all([gateway.attempted(), guarded.attempted()]);
});

afterAll(() => Promise.all([gateway.stop(), guarded.stop()]));

const JSON_TYPE = { 'Content-Type': 'application/json' };
const get = (path = '/sse', headers = {}): Sent => ({
  method: 'GET',
  path,
  headers: { Accept: 'text/event-stream', ...headers },
});

/** An open session of HTTP+SSE. */
interface Channel {
  readonly events: EventStream;
  readonly path: string;
  post(body: string, headers?: JsonObject): ReturnType<typeof send>;
  request(id: string | number, method: string, params?: JsonObject): ReturnType<typeof send>;
}

async function connect({ path = '/sse', origin = gateway.origin, headers = {} } = {}): Promise<Channel> {
  const events = await stream(origin, get(path, headers));
  const endpoint = await events.endpoint;
  const post = (body: string, more = {}) =>
    send(origin, { path: endpoint, headers: { ...JSON_TYPE, ...headers, ...more }, body });
  return {
    events,
    path: endpoint,
    post,
    request: (id, method, params = {}) => post(JSON.stringify({ jsonrpc: '2.0', id, method, params })),
  };
}

async function opened(version = '2024-11-05', options: Parameters<typeof connect>[0] = {}): Promise<Channel> {
  const channel = await connect(options);
  await channel.post(initialize(version, 'init'));
  await channel.events.inbox.find({ id: 'init' });
  await channel.post('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  return channel;
}

const textOf = (message: JsonObject) => (message.result as { content: { text: string }[] }).content[0]?.text ?? '';
const slow = { name: 'echo__slow', arguments: { ms: 60_000, label: 'sse' }, _meta: { progressToken: 1 } };
const cancelled = async () => {
  const channel = await opened();
  await channel.request('c', 'tools/call', { name: 'echo__cancelled', arguments: {} });
  const count = (JSON.parse(textOf(await channel.events.inbox.find({ id: 'c' }))) as number[]).length;
  channel.events.close();
  return count;
};

describe.each(CLIENTS)('%s over HTTP+SSE', (kind) => {
  test('uses tools, resources and prompts of all servers', async () => {
    const client = await connectClient(kind, { url: `${gateway.origin}/sse` });
    const { tools } = await client.listTools();
    const echoed = await client.callTool({ name: 'echo__echo', arguments: { text: 'over sse' } });
    const { contents } = await client.readResource({ uri: 'fixture://text' });
    const { messages } = await client.getPrompt({ name: 'sdk__greet', arguments: { who: 'you' } });
    await client.close();

    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['echo__echo', 'sdk__echo']));
    expect(echoed).toMatchObject({ content: [{ text: 'over sse' }] });
    expect(contents[0]).toMatchObject({ uri: 'fixture://text' });
    expect(messages[0]?.content).toMatchObject({ text: 'Greet you in english.' });
  });

  test('uses one server by its own names', async () => {
    const client = await connectClient(kind, { url: `${gateway.origin}/mcp/s/echo/sse` });
    const echoed = await client.callTool({ name: 'echo', arguments: { text: 'alone' } });
    await client.close();

    expect(echoed).toMatchObject({ content: [{ text: 'alone' }] });
  });
});

describe('The stream', () => {
  test('says first where messages go, by a relative URL that nobody can guess', async () => {
    const [one, other] = [await connect(), await connect({ path: '/mcp/s/echo/sse' })];

    expect(one.events.raw()).toMatch(/^event: endpoint\ndata: \/sse\?sessionId=[\w-]{32}\n\n$/);
    expect(other.path).toMatch(/^\/mcp\/s\/echo\/sse\?sessionId=[\w-]{32}$/);
    expect(one.events.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    one.events.close();
    other.events.close();
  });

  test('brings every answer, progress and news; the POSTs are accepted, no more', async () => {
    const { events, post, request } = await opened();
    const args = { ms: 10, steps: 2, label: 'x' };
    const accepted = [
      await request(1, 'ping'),
      await request('two', 'tools/call', { name: 'echo__slow', arguments: args, _meta: { progressToken: 't' } }),
      await request(3, 'nothing'),
      await post('{"jsonrpc":"2.0","id":77,"result":{}}'),
      await request(4, 'tools/call', { name: 'sdk__add_tool', arguments: { name: 'over_sse' } }),
    ];
    expect(accepted.map(({ status, text }) => [status, text])).toEqual(accepted.map(() => [202, '']));
    await events.inbox.find({ method: 'notifications/tools/list_changed' });
    const { all } = events.inbox;

    expect(all.find(({ id }) => id === 1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(all.filter(({ method }) => method === 'notifications/progress')).toHaveLength(2);
    expect(all.find(({ id }) => id === 3)).toMatchObject({ error: { code: -32601 } });
    expect(events.raw()).not.toMatch(/^(id|retry):/m);
    events.close();
  });

  test('is the session: its loss cancels the calls, and its place takes no more messages', async () => {
    const before = await cancelled();
    const { events, request } = await opened();
    await request(1, 'tools/call', slow);
    await events.inbox.find({ method: 'notifications/progress' });
    events.close();
    while ((await cancelled()) < before + 1);
    const late = await request(2, 'ping');

    expect([late.status, errorOf(late).code]).toEqual([404, -33001]);
  });

  test('carries a cancellation to exactly its call, for which nothing is sent', async () => {
    const before = await cancelled();
    const { events, post, request } = await opened();
    await request(1, 'tools/call', slow);
    await events.inbox.find({ method: 'notifications/progress' });
    await post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
    while ((await cancelled()) < before + 1);
    await request(2, 'ping');
    await events.inbox.find({ id: 2 });

    expect(events.inbox.all.filter(({ id }) => id === 1)).toEqual([]);
    events.close();
  });

  test('carries batches in 2025-03-26 alone', async () => {
    const batch = '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]';
    const [old, some] = [await opened('2024-11-05'), await opened('2025-03-26')];
    expect((await old.post(batch)).status).toBe(400);
    expect((await some.post(batch)).status).toBe(202);

    await expect(some.events.inbox.next()).resolves.toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
    old.events.close();
    some.events.close();
  });

  test('is refused where there is no such server, and where nobody can read it', async () => {
    expect((await send(gateway.origin, get('/mcp/s/nobody/sse'))).status).toBe(404);
    const blind = await send(gateway.origin, get('/sse', { Accept: 'application/json' }));
    expect([blind.status, blind.headers.allow]).toEqual([405, 'GET, POST, OPTIONS']);
    for (const method of ['DELETE', 'PUT'])
      expect((await send(gateway.origin, { method, path: '/sse' })).status).toBe(405);
  });

  test('is refused when there are too many sessions, and one that ends makes room', async () => {
    const channels: Channel[] = [];
    let refused = await send(gateway.origin, { method: 'PUT', path: '/sse' });
    while (refused.status !== 503) {
      const events = await stream(gateway.origin, get());
      if (events.status === 200) channels.push({ events } as Channel);
      else refused = { status: events.status, headers: events.headers, text: events.raw() };
    }
    expect(channels.length).toBeLessThanOrEqual(20);
    channels.forEach(({ events }) => events.close());
    for (;;) {
      const events = await stream(gateway.origin, get());
      events.close();
      if (events.status === 200) break;
    }
  });
});

describe('A message', () => {
  test('that is none is refused where it was sent, and the session goes on', async () => {
    const { events, post, request } = await opened();
    const refused = [
      await post('hello'),
      await post('{}'),
      await post('[]'),
      await post('{"jsonrpc":"2.0","id":1,"method":"ping"}', { 'Content-Type': 'text/plain' }),
      await post(`{"x":"${'x'.repeat(70_000)}"}`),
    ];
    const brokenAnswer = await post('{"jsonrpc":"2.0","id":1,"result":5}');
    await request(9, 'ping');

    expect([brokenAnswer.status, brokenAnswer.text]).toEqual([202, '']); // to nothing that was asked
    expect(refused.map((answer) => [answer.status, errorOf(answer).code])).toEqual([
      [400, -32700],
      [400, -32600],
      [400, -32600],
      [415, -32600],
      [413, -32600],
    ]);
    expect(await events.inbox.find({ id: 9 })).toHaveProperty('result');
    events.close();
  });

  test('without a session is 400, of an unknown one 404, and so is one of another transport or server', async () => {
    const channel = await opened();
    const id = channel.path.split('=')[1] ?? '';
    const at = (path: string, headers = {}) =>
      send(gateway.origin, {
        path,
        headers: { ...JSON_TYPE, ...headers },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      });

    expect((await at('/sse')).status).toBe(400);
    expect((await at('/sse?sessionId=unknown')).status).toBe(404);
    expect((await at(`/mcp/s/echo/sse?sessionId=${id}`)).status).toBe(404);
    expect((await at('/mcp', { 'Mcp-Session-Id': id })).status).toBe(404);
    expect((await at(channel.path)).status).toBe(202);
    channel.events.close();
  });

  test('before initialize is answered with an error on the stream', async () => {
    const { events, request } = await connect();
    expect((await request(1, 'tools/list')).status).toBe(202);

    expect(await events.inbox.find({ id: 1 })).toMatchObject({ error: { code: -32600 } });
    events.close();
  });

  test('of the modern era is answered as on a pipe', async () => {
    const { events, request } = await connect();
    await request(1, 'tools/call', { name: 'echo__echo', arguments: { text: 'm' }, _meta: modernMeta() });

    expect(textOf(await events.inbox.find({ id: 1 }))).toBe('m');
    events.close();
  });

  test('of another Host or Origin, or without a token, never arrives', async () => {
    const foreign = [get('/sse', { Host: 'evil.example' }), get('/sse', { Origin: 'https://evil.example' })];
    for (const sent of foreign) expect((await send(gateway.origin, sent)).status).toBe(403);
    const channel = await opened();
    expect((await channel.post('{}', { Origin: 'https://evil.example' })).status).toBe(403);
    const page = await channel.post('{}', { Origin: 'http://localhost:3000' });
    expect([page.status, page.headers['access-control-allow-origin']]).toEqual([400, 'http://localhost:3000']);
    channel.events.close();
    for (const sent of [get(), { ...modern('ping'), path: '/sse?sessionId=x' }])
      expect((await send(guarded.origin, sent)).status).toBe(401);
  });

  test('of another principal is 404, though the place is known', async () => {
    const { ann, bob } = TOKENS;
    const headers = (token: string) => ({ Authorization: `Bearer ${token}` });
    const channel = await opened('2024-11-05', { origin: guarded.origin, headers: headers(ann) });
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

    expect((await channel.post(body, headers(bob))).status).toBe(404);
    expect((await channel.post(body)).status).toBe(202);
    expect(await channel.events.inbox.find({ id: 1 })).toHaveProperty('result');
    expect(channel.events.inbox.all.filter(({ id }) => id === 1)).toHaveLength(1);
    channel.events.close();
  });
});

test('The record tells the transport', async () => {
  const { events, request } = await opened();
  await request(1, 'tools/call', { name: 'echo__whoami', arguments: { secret: 's' } });
  await events.inbox.find({ id: 1 });
  events.close();
  const { stdout } = await gateway.cli('audit', 'query', '--json', '--tool', 'echo__whoami', '--limit', '1');

  expect(stdout).toContain('"sse"');
});
