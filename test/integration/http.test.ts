// Streamable HTTP: JSON or a stream, progress and cancellation of exactly the call that they belong to, listeners, the orderly end.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { type ClientKind, CLIENTS, connectClient } from './harness/clients.ts';
import { askControl, fixture, type RunningGateway, openGateway, startGateway } from './harness/gateway.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { type Answer, modern, open, openSession, resultOf, send, stream } from './harness/raw.ts';

let web: RunningServer;
let gateway: RunningGateway;

const servers = () => ({
  echo: fixture('echo-stdio.ts'),
  web: { url: web.url },
  sdk: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'legacy'),
});

beforeAll(async () => {
  web = await startServer('sdk-server.ts', '--era', 'modern', '--transport', 'http');
  gateway = await openGateway({ config: { mcpServers: servers() } });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await web.stop();
});

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const textOf = (answer: Answer) => (resultOf(answer).content as { text: string }[])[0]?.text ?? '';
const tool = (name: string, args: JsonObject = {}) =>
  send(gateway.origin, modern('tools/call', { name, arguments: args }));
const slow = (args: JsonObject, { id = 1, token }: { id?: string | number; token?: string | number } = {}) =>
  modern(
    'tools/call',
    { name: 'echo__slow', arguments: args },
    { id, ...(token !== undefined && { meta: { progressToken: token } }) },
  );
const cancelled = async () => (JSON.parse(textOf(await tool('echo__cancelled'))) as number[]).length;

/** How many calls the first server is busy with, asked over the control socket. */
async function inFlight({ state }: RunningGateway): Promise<number> {
  const { servers: all } = (await askControl(state, '/api/servers')) as { servers: { inFlight: number }[] };
  return all[0]?.inFlight ?? 0;
}

/** Resolves when the count that `read` tells has reached `wanted`; each reading is a call through the gateway. */
async function until(read: () => Promise<number>, wanted: number): Promise<void> {
  while ((await read()) < wanted);
}

describe('An answer', () => {
  test('is plain JSON where nothing comes before it', async () => {
    const answer = await tool('echo__echo', { text: 'plain' });

    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)));
    expect(textOf(answer)).toBe('plain');
  });

  test('becomes a stream as soon as a message precedes it', async () => {
    const running = await stream(gateway.origin, slow({ ms: 60_000, label: 'x' }, { token: 't' }));

    expect(running.headers['content-type']).toBe('text/event-stream');
    expect(running.headers['cache-control']).toBe('no-cache, no-transform');
    expect(running.headers['x-accel-buffering']).toBe('no');
    expect(await running.inbox.next()).toMatchObject({
      method: 'notifications/progress',
      params: { progressToken: 't', progress: 1 },
    });
    running.close();
  });

  test('becomes a stream after five seconds of silence, with a sign of life first, and the answer last', async () => {
    const running = await stream(gateway.origin, slow({ ms: 5_500, label: 'quiet' }));
    await running.ended;

    expect(running.raw()).toMatch(/^:\n\nevent: message\ndata: \{.*\}\n\n$/);
    expect(running.inbox.all).toMatchObject([
      { id: 1, result: { content: [{ text: 'slow quiet done after 1 steps' }] } },
    ]);
  });

  test('stays JSON, without what would precede it, for a client that takes no stream', async () => {
    const sent = slow({ ms: 1_200, label: 'json', steps: 2 }, { token: 1 });
    const answer = await send(gateway.origin, { ...sent, headers: { ...sent.headers, Accept: 'application/json' } });

    expect(answer.headers['content-type']).toBe('application/json');
    expect(textOf(answer)).toBe('slow json done after 2 steps');
  });

  test('holds line and paragraph separators and every other character as they were', async () => {
    const text = 'a\u2028b\u2029c\r\nd\u0085e\u0000f\ud83d\ude00g\n\ndata: x\n\n';
    const log = modern(
      'tools/call',
      { name: 'web__log', arguments: { text } },
      { meta: { 'io.modelcontextprotocol/logLevel': 'info' } },
    );
    const running = await stream(gateway.origin, log);
    await running.ended;

    expect(running.inbox.all).toMatchObject([{ params: { data: text } }, { id: 1 }]);
    expect(textOf(await tool('sdk__echo', { text }))).toBe(text);
  });
});

describe('Progress', () => {
  test('reaches exactly the call that it belongs to, though ids and tokens are the same', async () => {
    const session = await openSession(gateway.origin);
    const clients = Array.from({ length: 12 }, (_, index) => index);
    const streams = await Promise.all(
      clients.map((index) => {
        const args = { ms: 300, steps: 3, label: `c${index}` };
        return index === 0
          ? stream(
              gateway.origin,
              session.request(
                'tools/call',
                { name: 'echo__slow', arguments: args, _meta: { progressToken: 7 } },
                { id: 7 },
              ),
            )
          : stream(gateway.origin, slow(args, { id: 7, token: 7 }));
      }),
    );
    await Promise.all(streams.map(({ ended }) => ended));

    streams.forEach(({ inbox }, index) => {
      expect(inbox.all.slice(0, -1).map(({ params }) => params)).toEqual(
        [1, 2, 3].map((progress) => ({
          progressToken: 7,
          progress,
          total: 3,
          message: `step ${progress} of c${index}`,
        })),
      );
      expect(inbox.all.at(-1)).toMatchObject({
        id: 7,
        result: { content: [{ text: `slow c${index} done after 3 steps` }] },
      });
    });
    await send(gateway.origin, session.delete());
  });

  test('keeps the type of its token, and is not sent where none was given', async () => {
    for (const token of ['7', 7]) {
      const running = await stream(gateway.origin, slow({ ms: 20, label: 'x' }, { token }));
      await running.ended;
      expect((running.inbox.all[0]?.params as JsonObject).progressToken).toBe(token);
    }
    expect((await send(gateway.origin, slow({ ms: 20, label: 'x' }))).headers['content-type']).toBe('application/json');
  });
});

describe('Cancellation', () => {
  test('of a modern call is the closing of its stream; the server hears of it, other calls do not', async () => {
    const before = await cancelled();
    const [mine, other] = await Promise.all([
      stream(gateway.origin, slow({ ms: 60_000, label: 'mine' }, { id: 1, token: 1 })),
      stream(gateway.origin, slow({ ms: 900, label: 'other' }, { id: 1, token: 1 })),
    ]);
    await Promise.all([mine.inbox.next(), other.inbox.next()]);
    mine.close();
    await until(cancelled, before + 1);

    expect(await other.inbox.find({ id: 1 })).toHaveProperty('result');
    expect(await cancelled()).toBe(before + 1);
  });

  test('of a modern call works before anything was sent', async () => {
    const before = await cancelled();
    const request = open(gateway.origin, slow({ ms: 60_000, label: 'early' }));
    request.on('error', () => undefined);
    await until(() => inFlight(gateway), 1);
    request.destroy();

    await until(cancelled, before + 1);
  });

  test('reaches a modern server as the closing of its stream', async () => {
    const aborted = async () => Number(textOf(await tool('web__aborted')));
    const before = await aborted();
    const call = modern(
      'tools/call',
      { name: 'web__slow', arguments: { ms: 60_000, steps: 2 } },
      { meta: { progressToken: 1 } },
    );
    const running = await stream(gateway.origin, call);
    await running.inbox.next();
    running.close();

    await until(aborted, before + 1);
  });

  test('of a legacy call is a notification; nothing is sent for it any more', async () => {
    const before = await cancelled();
    const session = await openSession(gateway.origin);
    const params = {
      name: 'echo__slow',
      arguments: { ms: 60_000, steps: 1_000, label: 'x' },
      _meta: { progressToken: 1 },
    };
    const running = await stream(gateway.origin, session.request('tools/call', params, { id: 'gone' }));
    await running.inbox.next();
    const told = await send(
      gateway.origin,
      session.notification('notifications/cancelled', { requestId: 'gone', reason: 'x' }),
    );
    await running.ended;

    expect(told.status).toBe(202);
    expect(running.inbox.all.filter((message) => 'id' in message)).toEqual([]);
    await until(cancelled, before + 1);
    await send(gateway.origin, session.delete());
  });

  test('of what is not running means nothing', async () => {
    const session = await openSession(gateway.origin);
    for (const requestId of [99, 'x', null, {}, undefined])
      expect((await send(gateway.origin, session.notification('notifications/cancelled', { requestId }))).status).toBe(
        202,
      );
    expect((await send(gateway.origin, session.request('ping'))).status).toBe(200);
    await send(gateway.origin, session.delete());
  });

  test('stands in the log', async () => {
    const running = await stream(gateway.origin, slow({ ms: 60_000, label: 'logged' }, { token: 1 }));
    await running.inbox.next();
    const before = await cancelled();
    running.close();
    await until(cancelled, before + 1);
    await until(async () => {
      const { stdout } = await gateway.cli('audit', 'query', '--json', '--status', 'cancelled', '--tool', 'echo__slow');
      return stdout.trim().split('\n').filter(Boolean).length;
    }, 1);
  });
});

describe('Logging', () => {
  const said = async (logLevel?: string) => {
    const meta = logLevel === undefined ? {} : { 'io.modelcontextprotocol/logLevel': logLevel };
    const running = await stream(
      gateway.origin,
      modern('tools/call', { name: 'web__log', arguments: { text: 'said' } }, { meta }),
    );
    await running.ended;
    return running.headers['content-type'] === 'application/json'
      ? []
      : running.inbox.all.filter(({ method }) => method === 'notifications/message');
  };

  test('is per request, and nothing where none is asked for', async () => {
    expect(await said()).toEqual([]);
    expect(await said('error')).toEqual([]);
    for (const level of ['debug', 'warning'])
      expect(await said(level)).toMatchObject([{ params: { level: 'warning', data: 'said' } }]);
  });
});

describe('A listener', () => {
  const listen = (notifications: JsonObject, id: string | number = 'listener', path = '/mcp') =>
    stream(gateway.origin, modern('subscriptions/listen', { notifications }, { id, path }));

  test('is acknowledged first, hears only of what it asked for, and every message carries its id', async () => {
    const lists = await listen({ toolsListChanged: true, promptsListChanged: false }, 5);
    const resources = await listen({ resourceSubscriptions: ['fixture://text', 'fixture://unknown'] }, 'five');
    const first = await lists.inbox.next();

    expect(first).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true }, _meta: { [SUBSCRIPTION]: 5 } },
    });
    expect(await resources.inbox.next()).toMatchObject({
      params: { notifications: { resourceSubscriptions: ['fixture://text'] }, _meta: { [SUBSCRIPTION]: 'five' } },
    });
    await tool('sdk__touch', { uri: 'fixture://bytes' });
    await tool('web__touch', { uri: 'fixture://text' });
    await tool('sdk__touch', { uri: 'fixture://text' });
    await tool('sdk__add_tool', { name: 'listened' });
    expect(await lists.inbox.next()).toMatchObject({
      method: 'notifications/tools/list_changed',
      params: { _meta: { [SUBSCRIPTION]: 5 } },
    });
    expect(await resources.inbox.next()).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: 'fixture://text', _meta: { [SUBSCRIPTION]: 'five' } },
    });
    for (const listener of [lists, resources]) {
      expect(listener.inbox.all.every(({ params }) => (params as JsonObject)._meta !== undefined)).toBe(true);
      listener.close();
    }
    expect(lists.inbox.all.map(({ method }) => method)).not.toContain('notifications/resources/updated');
    expect(resources.inbox.all.map(({ method }) => method)).not.toContain('notifications/tools/list_changed');
  });

  test('of nothing, of what is no filter, and of one server, is acknowledged as such', async () => {
    for (const filter of [{}, { toolsListChanged: 'yes', resourceSubscriptions: 'fixture://text', tasks: true }]) {
      const listener = await listen(filter);
      expect(await listener.inbox.next()).toMatchObject({ params: { notifications: {} } });
      listener.close();
    }
    const scoped = await listen({ toolsListChanged: true }, 1, '/mcp/s/echo');
    await scoped.inbox.next();
    await tool('sdk__add_tool', { name: 'elsewhere' });
    const own = await listen({ toolsListChanged: true }, 2);
    await own.inbox.next();
    await tool('sdk__add_tool', { name: 'elsewhere_too' });
    await own.inbox.next();
    expect(scoped.inbox.all).toHaveLength(1);
    scoped.close();
    own.close();
  });

  test('that takes no stream is refused', async () => {
    const sent = modern('subscriptions/listen', { notifications: {} });
    const answer = await send(gateway.origin, { ...sent, headers: { ...sent.headers, Accept: 'application/json' } });

    expect(answer.status).toBe(400);
    expect(answer.text).toContain('text/event-stream');
  });
});

describe('The end of the gateway', () => {
  test('ends listeners with a result, standing streams in order, and loses no answer of either era', async () => {
    const ending = await startGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts') } } });
    await ending.attempted();
    const session = await openSession(ending.origin);
    const huge = { name: 'echo__slow', arguments: { ms: 900, label: 'x'.repeat(3_000_000) } };
    const listener = await stream(ending.origin, modern('subscriptions/listen', { notifications: {} }, { id: 'l' }));
    const standing = await stream(ending.origin, session.get());
    const calls = [
      ...Array.from({ length: 5 }, (_, id) => send(ending.origin, modern('tools/call', huge, { id }))),
      ...Array.from({ length: 5 }, (_, id) => send(ending.origin, session.request('tools/call', huge, { id }))),
    ];
    await listener.inbox.next();
    await until(() => inFlight(ending), 10);
    const stopped = ending.stop('SIGTERM');
    const answers = await Promise.all(calls);
    await Promise.all([listener.ended, standing.ended]);

    expect(await listener.inbox.next()).toEqual({
      jsonrpc: '2.0',
      id: 'l',
      result: expect.objectContaining({
        resultType: 'complete',
        _meta: expect.objectContaining({ [SUBSCRIPTION]: 'l' }) as unknown,
      }) as unknown,
    });
    for (const answer of answers) expect(textOf(answer)).toHaveLength('slow  done after 1 steps'.length + 3_000_000);
    expect([0, 143]).toContain(await stopped);
  });
});

test.each(CLIENTS)('%s gets progress of a call and cancels it', async (kind: ClientKind) => {
  const client = await connectClient(kind, { url: gateway.url });
  const before = await cancelled();
  const seen: number[] = [];
  const controller = new AbortController();
  const options = {
    signal: controller.signal,
    onprogress: ({ progress }: { progress: number }) => {
      seen.push(progress);
      controller.abort();
    },
  };
  const call = { name: 'echo__slow', arguments: { ms: 60_000, label: kind } };
  // the generations differ in where the options stand
  const running =
    kind === 'SDK v1'
      ? (client.callTool as (...args: unknown[]) => Promise<unknown>).call(client, call, undefined, options)
      : client.callTool(call, options);

  await expect(running).rejects.toThrow();
  expect(seen).toEqual([1]);
  await until(cancelled, before + 1);
  await client.close();
});
