// Legacy sessions over HTTP: their faults, their streams, their end, batches, log levels, and what two of them never share.
import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { inSession } from './harness/in-session.ts';
import {
  type Answer,
  errorOf,
  initialize,
  type LegacySession,
  messageOf,
  modern,
  openSession,
  resultOf,
  send,
  stream,
} from './harness/raw.ts';
import { SessionClient } from './harness/session-client.ts';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await openGateway({
    config: {
      limits: { sessions: 30 },
      mcpServers: {
        echo: fixture('echo-stdio.ts'),
        sdk: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'legacy'),
      },
    },
  });
  await gateway.attempted();
});

afterAll(() => gateway.stop());

const verdict = (answer: Answer) => [answer.status, errorOf(answer).code];
const post = (body: string, headers = {}) =>
  send(gateway.origin, { headers: { 'Content-Type': 'application/json', ...headers }, body });
const tool = (session: LegacySession, name: string, args: JsonObject = {}) =>
  send(gateway.origin, session.request('tools/call', { name, arguments: args }));
const textOf = (answer: Answer) => (resultOf(answer).content as { text: string }[])[0]?.text;

const withSession = <T>(run: (session: LegacySession) => Promise<T>, version?: string) =>
  inSession(gateway.origin, run, version);

describe('initialize', () => {
  test.each([
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2025-03-26'],
    ['2024-11-05', '2024-11-05'],
    ['2026-07-28', '2025-11-25'],
    ['1999-01-01', '2025-11-25'],
  ])('that asks for %s agrees on %s', async (asked, agreed) => {
    const answer = await post(initialize(asked));

    expect(resultOf(answer).protocolVersion).toBe(agreed);
    expect(resultOf(answer).capabilities).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      completions: {},
      logging: {},
      ...(agreed === '2025-11-25' && { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }),
    });
    expect(answer.headers['mcp-session-id']).toMatch(/^[!-~]{20,}$/);
    await send(gateway.origin, {
      method: 'DELETE',
      headers: { 'Mcp-Session-Id': String(answer.headers['mcp-session-id']) },
    });
  });
});

describe('A request', () => {
  test('without a session is 400, with one that is unknown 404, whatever it is', async () => {
    const request = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const unknown = { 'Mcp-Session-Id': 'unknown' };

    expect((await post(request)).status).toBe(400);
    expect((await post(request, unknown)).status).toBe(404);
    expect((await post('{"jsonrpc":"2.0","method":"notifications/initialized"}')).status).toBe(400);
    expect((await post('{"jsonrpc":"2.0","method":"notifications/initialized"}', unknown)).status).toBe(404);
    for (const method of ['GET', 'DELETE']) {
      expect((await send(gateway.origin, { method })).status).toBe(400);
      expect((await send(gateway.origin, { method, headers: unknown })).status).toBe(404);
    }
  });

  test('with a version that is none is 400 on a session, for every method', () =>
    withSession(async (session) => {
      const bad = { 'MCP-Protocol-Version': '1999-01-01' };
      const answers = [
        await send(gateway.origin, session.request('tools/list', {}, { headers: bad })),
        await send(gateway.origin, session.get(bad)),
        await send(gateway.origin, session.delete(bad)),
      ];

      for (const answer of answers) expect(verdict(answer)).toEqual([400, -32022]);
      expect((await send(gateway.origin, session.request('ping'))).status).toBe(200);
    }));

  test('without a version passes, as clients before 2025-06-18 send none', () =>
    withSession(async ({ id }) => {
      const answer = await post('{"jsonrpc":"2.0","id":1,"method":"ping"}', { 'Mcp-Session-Id': id });

      expect([answer.status, answer.text]).toEqual([200, '{"jsonrpc":"2.0","id":1,"result":{}}']);
    }));

  test('whose id is still in flight is refused, and the first is answered', () =>
    withSession(async (session) => {
      const args = { name: 'echo__slow', arguments: { ms: 60_000, label: 'first' }, _meta: { progressToken: 1 } };
      const first = await stream(gateway.origin, session.request('tools/call', args, { id: 'same' }));
      await first.inbox.find({ method: 'notifications/progress' });
      const second = await send(gateway.origin, session.request('ping', {}, { id: 'same' }));

      expect(verdict(second)).toEqual([400, -32600]);
      await send(gateway.origin, session.notification('notifications/cancelled', { requestId: 'same' }));
      await first.ended;
    }));

  test('of one session is not cancelled by another', () =>
    withSession((one) =>
      withSession(async (other) => {
        const call = { name: 'echo__slow', arguments: { ms: 300, label: 'mine' }, _meta: { progressToken: 't' } };
        const running = await stream(gateway.origin, one.request('tools/call', call, { id: 7 }));
        await running.inbox.find({ method: 'notifications/progress' });
        await send(gateway.origin, other.notification('notifications/cancelled', { requestId: 7 }));

        expect(await running.inbox.find({ id: 7 })).toHaveProperty('result');
      }),
    ));
});

describe('The end of a session', () => {
  test('cancels its calls, ends its streams, and nothing is sent for what was cancelled', async () => {
    const session = await openSession(gateway.origin);
    const call = { name: 'echo__slow', arguments: { ms: 60_000, label: 'ended' }, _meta: { progressToken: 1 } };
    const running = await stream(gateway.origin, session.request('tools/call', call, { id: 1 }));
    const standing = await stream(gateway.origin, session.get());
    await running.inbox.find({ method: 'notifications/progress' });
    const before = await withSession((other) => tool(other, 'echo__cancelled'));
    const deleted = await send(gateway.origin, session.delete());
    await Promise.all([running.ended, standing.ended]);
    const after = await withSession((other) => tool(other, 'echo__cancelled'));

    expect(deleted.status).toBe(204);
    expect(running.inbox.all.filter((message) => 'id' in message)).toEqual([]);
    expect((JSON.parse(String(textOf(after))) as number[]).length).toBe(
      (JSON.parse(String(textOf(before))) as number[]).length + 1,
    );
    expect((await send(gateway.origin, session.request('ping'))).status).toBe(404);
    expect((await send(gateway.origin, session.delete())).status).toBe(404);
  });

  test('lets go of the resources that it followed, and of no other session’s', async () => {
    const [leaving, staying] = [await openSession(gateway.origin), await openSession(gateway.origin)];
    const standing = await stream(gateway.origin, staying.get());
    for (const session of [leaving, staying])
      expect(
        (await send(gateway.origin, session.request('resources/subscribe', { uri: 'fixture://text' }))).status,
      ).toBe(200);
    await send(gateway.origin, leaving.delete());
    await tool(staying, 'sdk__touch', { uri: 'fixture://text' });

    expect(await standing.inbox.find({ method: 'notifications/resources/updated' })).toMatchObject({
      params: { uri: 'fixture://text' },
    });
    standing.close();
    await send(gateway.origin, staying.delete());
  });

  test('makes room: where there are no more, the one that was left unused for longest ends', async () => {
    const ids: string[] = [];
    const open = async () => ids.push(String((await post(initialize())).headers['mcp-session-id']));
    const named = (id: string) => ({ 'Mcp-Session-Id': id });
    const ping = (id: string) =>
      post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }), named(id)).then(({ status }) => status);
    for (let count = 0; count < 30; count++) await open();
    const [first = '', second = ''] = ids;
    expect(await ping(first)).toBe(200);
    await open();

    expect(new Set(ids).size).toBe(31);
    expect([await ping(first), await ping(second), await ping(ids.at(-1) ?? '')]).toEqual([200, 404, 200]);
    for (const id of ids) await send(gateway.origin, { method: 'DELETE', headers: named(id) });
  });

  test('makes room: sessions that are listened to stay, and one more is refused, which says so', async () => {
    const clients: SessionClient[] = [];
    for (let count = 0; count < 30; count++) clients.push(await SessionClient.open(gateway.origin));
    const refused = await post(initialize());
    await clients[0]?.end();
    const again = await post(initialize());

    expect(verdict(refused)).toEqual([200, -33006]);
    expect(errorOf(refused).message).toContain('limits.sessions');
    expect(again.headers['mcp-session-id']).toBeTypeOf('string');
    expect((await send(gateway.origin, modern('tools/list'))).status).toBe(200);
    const id = String(again.headers['mcp-session-id']);
    await send(gateway.origin, { method: 'DELETE', headers: { 'Mcp-Session-Id': id } });
    for (const client of clients.slice(1)) await client.end();
  });
});

describe('A session is bounded', () => {
  test('in the resources that it follows', () =>
    withSession(async (session) => {
      const connections = new Agent({ keepAlive: true });
      const follow = async (id: number) => {
        const request = session.request('resources/subscribe', { uri: `fixture://item/${id}` }, { id });
        return verdict(await send(gateway.origin, { ...request, connections }));
      };
      for (let first = 0; first < 1_000; first += 50) {
        const some = await Promise.all(Array.from({ length: 50 }, (_, index) => follow(first + index)));
        expect(some).toEqual(some.map(() => [200, undefined]));
      }

      expect(await follow(1_000)).toEqual([200, -33007]);
      expect(await follow(0)).toEqual([200, undefined]);
      await send(gateway.origin, session.request('resources/unsubscribe', { uri: 'fixture://item/0' }));
      expect(await follow(1_000)).toEqual([200, undefined]);
      connections.destroy();
    }));
});

describe('A standing stream', () => {
  test('brings news of lists, once to each session, on its newest stream', () =>
    withSession(async (session) => {
      const older = await stream(gateway.origin, session.get());
      const newer = await stream(gateway.origin, session.get());
      await tool(session, 'sdk__add_tool', { name: 'heard' });

      expect(await newer.inbox.find({ method: 'notifications/tools/list_changed' })).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/tools/list_changed',
        params: {},
      });
      expect(newer.headers['content-type']).toBe('text/event-stream');
      expect(newer.headers['x-accel-buffering']).toBe('no');
      newer.close();
      await newer.ended;
      await tool(session, 'sdk__add_tool', { name: 'heard_again' });
      await older.inbox.find({ method: 'notifications/tools/list_changed' });
      expect(older.inbox.all).toHaveLength(1);
      older.close();
    }));

  test('must be asked for as one', () =>
    withSession(async (session) => {
      expect((await send(gateway.origin, session.get({ Accept: 'application/json' }))).status).toBe(405);
    }));

  test('makes room: the oldest ends where there are too many', () =>
    withSession(async (session) => {
      const streams = [];
      for (let count = 0; count < 9; count += 1) streams.push(await stream(gateway.origin, session.get()));

      await streams[0]?.ended;
      await tool(session, 'sdk__add_tool', { name: 'newest' });
      await streams[8]?.inbox.find({ method: 'notifications/tools/list_changed' });
      streams.forEach((one) => one.close());
    }));
});

describe('Logging', () => {
  const lines = async (session: LegacySession) => {
    const running = await stream(
      gateway.origin,
      session.request('tools/call', { name: 'sdk__log', arguments: { text: 'said' } }, { id: 'log' }),
    );
    await running.ended;
    return running.inbox.all.filter(({ method }) => method === 'notifications/message').map(({ params }) => params);
  };
  const set = (session: LegacySession, level: string) =>
    send(gateway.origin, session.request('logging/setLevel', { level }));

  test('is per session: each gets what it asked for, and info where it asked for nothing', () =>
    withSession((quiet) =>
      withSession((loud) =>
        withSession(async (plain) => {
          expect(resultOf(await set(quiet, 'error'))).toEqual({});
          expect(resultOf(await set(loud, 'debug'))).toEqual({});

          const said = [expect.objectContaining({ level: 'warning', data: 'said' })];
          expect(await lines(quiet)).toEqual([]);
          expect(await lines(loud)).toEqual(said);
          expect(await lines(plain)).toEqual(said);
        }),
      ),
    ));

  test('has no other levels than those of the protocol', () =>
    withSession(async (session) => {
      for (const level of ['loud', 'INFO', '', 'toString'])
        expect(verdict(await set(session, level))).toEqual([200, -32602]);
    }));

  test('is not there where the one server of an endpoint does not declare it', async () => {
    const session = await openSession(gateway.origin, { path: '/mcp/s/echo' });

    expect(verdict(await set(session, 'info'))).toEqual([200, -32601]);
    expect(verdict(await send(gateway.origin, session.request('prompts/list')))).toEqual([200, -32601]);
    await send(gateway.origin, session.delete());
  });
});

describe('A batch', () => {
  const ping = (id: number) => ({ jsonrpc: '2.0', id, method: 'ping' });

  test('is answered whole in a session of 2025-03-26', () =>
    withSession(async (session) => {
      const call = {
        jsonrpc: '2.0',
        id: 2,
        method: 'tools/call',
        params: { name: 'echo__echo', arguments: { text: 'b' } },
      };
      const batch = [ping(1), call, { jsonrpc: '2.0', method: 'notifications/x' }, { jsonrpc: '2.0', id: 3 }];
      const answer = await send(gateway.origin, session.post(JSON.stringify(batch)));
      const told = await send(gateway.origin, session.post('[{"jsonrpc":"2.0","method":"notifications/x"}]'));

      expect(JSON.parse(answer.text)).toEqual([
        { jsonrpc: '2.0', id: 1, result: {} },
        expect.objectContaining({ id: 2, result: { content: [{ type: 'text', text: 'b' }] } }),
        expect.objectContaining({ id: 3, error: expect.objectContaining({ code: -32600 }) as unknown }),
      ]);
      expect([told.status, told.text]).toEqual([202, '']);
    }, '2025-03-26'));

  test('is bounded, not empty, and never initializes', () =>
    withSession(async (session) => {
      const many = Array.from({ length: 101 }, (_, id) => ping(id));
      for (const body of ['[]', JSON.stringify(many), `[${initialize()}]`])
        expect(verdict(await send(gateway.origin, session.post(body)))).toEqual([400, -32600]);
    }, '2025-03-26'));

  test.each(['2024-11-05', '2025-06-18', '2025-11-25'])('is refused in a session of %s', (version) =>
    withSession(async (session) => {
      expect(verdict(await send(gateway.origin, session.post(JSON.stringify([ping(1)]))))).toEqual([400, -32600]);
    }, version),
  );
});

test('ping is answered by the gateway itself', () =>
  withSession(async (session) => {
    expect(messageOf(await send(gateway.origin, session.request('ping', {}, { id: 'p' })))).toEqual({
      jsonrpc: '2.0',
      id: 'p',
      result: {},
    });
  }));
