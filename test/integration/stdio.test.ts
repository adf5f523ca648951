// `mcp-gateway stdio`: one client on a pipe, in either era, alone or beside others that joined the same gateway.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { fixture, type RunningGateway, openGateway, type Workspace, workspace } from './harness/gateway.ts';
import { initialize, modernMeta, openPipe, type RawPipe } from './harness/raw.ts';

const limits = { body: '64KiB', depth: 8 };
const echo = fixture('echo-stdio.ts');
const sdk = fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'legacy');
const config = { limits, mcpServers: { echo, sdk } };

let gateway: RunningGateway;
/** Each pipe starts the servers of these anew. */
let alone: Workspace;
let aloneWithSdk: Workspace;

beforeAll(async () => {
  gateway = await openGateway({ config });
  await gateway.attempted();
  alone = workspace({ limits, mcpServers: { echo } });
  aloneWithSdk = workspace({ limits, mcpServers: { sdk } });
});

afterAll(async () => {
  await gateway.stop();
  alone.remove();
  aloneWithSdk.remove();
});

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const places = [
  ['joining a running gateway', () => gateway, () => gateway],
  ['with the gateway inside', () => alone, () => aloneWithSdk],
] as const;

async function withPipe<T>(place: { config: string; state: string }, run: (pipe: RawPipe) => Promise<T>): Promise<T> {
  const pipe = openPipe(place);
  try {
    return await run(pipe);
  } finally {
    await pipe.end();
  }
}

async function opened(pipe: RawPipe, version = '2025-11-25'): Promise<void> {
  pipe.line(initialize(version, 'init'));
  await pipe.inbox.find({ id: 'init' });
  pipe.notify('notifications/initialized');
}

/** A modern request, with what its `_meta` must say. */
function ask(
  pipe: RawPipe,
  id: string | number,
  { method, params = {}, meta = {} }: { method: string; params?: JsonObject; meta?: JsonObject },
): void {
  pipe.request(id, method, { ...params, _meta: modernMeta(meta) });
}

const errorOf = (message: JsonObject) => (isObject(message.error) ? message.error : {});
const textOf = (message: JsonObject) => (message.result as { content: { text: string }[] }).content[0]?.text ?? '';
const slow = (extra: JsonObject = {}) => ({
  name: 'echo__slow',
  arguments: { ms: 60_000, steps: 2_000, label: 'pipe' },
  ...extra,
});

async function cancelled(pipe: RawPipe): Promise<number> {
  const id = `cancelled-${Math.random()}`;
  ask(pipe, id, { method: 'tools/call', params: { name: 'echo__cancelled' } });
  return (JSON.parse(textOf(await pipe.inbox.find({ id }))) as number[]).length;
}

describe.each(places)('A pipe, %s', (_where, place, placeWithSdk) => {
  test('serves a legacy client, with nothing but frames on stdout', () =>
    withPipe(place(), async (pipe) => {
      await opened(pipe);
      pipe.request(1, 'ping');
      pipe.request('two', 'tools/call', { name: 'echo__echo', arguments: { text: 'pipe' } });

      expect(await pipe.inbox.find({ id: 1 })).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
      expect(textOf(await pipe.inbox.find({ id: 'two' }))).toBe('pipe');
      expect(pipe.inbox.all.every(({ jsonrpc }) => jsonrpc === '2.0')).toBe(true);
    }));

  test('serves a modern client without a handshake, and a probe does not exclude a later one', () =>
    withPipe(place(), async (pipe) => {
      ask(pipe, 1, { method: 'server/discover' });
      expect(await pipe.inbox.find({ id: 1 })).toMatchObject({ result: { resultType: 'complete' } });
      ask(pipe, 2, { method: 'tools/call', params: { name: 'echo__echo', arguments: { text: 'modern' } } });
      expect(textOf(await pipe.inbox.find({ id: 2 }))).toBe('modern');
      await opened(pipe);
      pipe.request(3, 'ping');
      expect(await pipe.inbox.find({ id: 3 })).toHaveProperty('result');
    }));

  test('answers bad input, one line a mistake, and goes on', () =>
    withPipe(place(), async (pipe) => {
      const lines: readonly [string, number][] = [
        ['hello', -32700],
        ['{"jsonrpc":"2.0","id":1,"method":', -32700],
        ['{}', -32600],
        ['[]', -32600],
        [`[${initialize()}]`, -32600],
        ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
        ['{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}', -32600],
        ['['.repeat(9) + ']'.repeat(9), -32600],
        ['{"jsonrpc":"2.0","id":1,"method":"tools/list"}', -32600],
        [`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${'x'.repeat(100_000)}"}}`, -32600],
        [
          JSON.stringify({
            jsonrpc: '2.0',
            id: 1,
            method: 'tools/list',
            params: { _meta: modernMeta({ 'io.modelcontextprotocol/protocolVersion': '2027-01-01' }) },
          }),
          -32022,
        ],
        [JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'nothing', params: { _meta: modernMeta() } }), -32601],
      ];
      for (const [line, code] of lines) {
        pipe.line(line);
        expect([line.slice(0, 80), errorOf((await pipe.inbox.next()) ?? {}).code]).toEqual([line.slice(0, 80), code]);
      }
      await opened(pipe);
      pipe.line(initialize('2025-11-25', 'again'));
      expect(errorOf(await pipe.inbox.find({ id: 'again' })).code).toBe(-32600);
      pipe.request(9, 'ping');
      expect(await pipe.inbox.find({ id: 9 })).toHaveProperty('result');
    }));

  test('cancels a call in both eras, sends nothing for it, and lets the others run', () =>
    withPipe(place(), async (pipe) => {
      const before = await cancelled(pipe);
      await opened(pipe);
      ask(pipe, 'modern', { method: 'tools/call', params: slow(), meta: { progressToken: 'm' } });
      pipe.request('legacy', 'tools/call', slow({ _meta: { progressToken: 'l' } }));
      const seen = new Set<unknown>();
      while (seen.size < 2)
        seen.add(((await pipe.inbox.find({ method: 'notifications/progress' })).params as JsonObject).progressToken);
      for (const requestId of ['modern', 'legacy']) pipe.notify('notifications/cancelled', { requestId });
      pipe.request('marker', 'ping');
      await pipe.inbox.find({ id: 'marker' });
      const mark = pipe.inbox.all.length;
      while ((await cancelled(pipe)) < before + 2);
      const later = pipe.inbox.all.slice(mark);

      expect(pipe.inbox.all.filter(({ id }) => id === 'modern' || id === 'legacy')).toEqual([]);
      expect(later.filter(({ method }) => method === 'notifications/progress')).toEqual([]);
    }));

  test('tells of changes: a listener by its id, a session as it is', () =>
    withPipe(placeWithSdk(), async (pipe) => {
      await opened(pipe);
      ask(pipe, 'l', { method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true } } });
      expect(await pipe.inbox.next()).toMatchObject({
        method: 'notifications/subscriptions/acknowledged',
        params: { _meta: { [SUBSCRIPTION]: 'l' } },
      });
      pipe.request('add', 'tools/call', { name: 'sdk__add_tool', arguments: {} });
      await pipe.inbox.find({ method: 'notifications/tools/list_changed' });
      await pipe.inbox.find({ method: 'notifications/tools/list_changed' });
      const told = pipe.inbox.all
        .filter(({ method }) => method === 'notifications/tools/list_changed')
        .map(({ params }) => params);

      expect(told).toEqual(expect.arrayContaining([{}, { _meta: { [SUBSCRIPTION]: 'l' } }]));
      pipe.notify('notifications/cancelled', { requestId: 'l' });
      pipe.request('end', 'ping');
      await pipe.inbox.find({ id: 'end' });
      expect(pipe.inbox.all.filter(({ id, method }) => id === 'l' && method === undefined)).toEqual([]);
    }));
});

test('no more than a thousand requests of one client run at a time, in either era', () =>
  withPipe(gateway, async (pipe) => {
    await opened(pipe);
    for (let id = 0; id < 1_000; id += 1) {
      ask(pipe, `m${id}`, { method: 'subscriptions/listen', params: { notifications: {} } });
      pipe.request(`l${id}`, 'tools/call', { name: 'echo__slow', arguments: { ms: 60_000 } });
    }
    ask(pipe, 'modern', { method: 'tools/list' });
    pipe.request('legacy', 'tools/list');

    const refused = new Map<unknown, unknown>();
    while (refused.size < 2) {
      const message = (await pipe.inbox.next()) ?? {};
      if (message.id === 'modern' || message.id === 'legacy') refused.set(message.id, errorOf(message).code);
    }
    expect(Object.fromEntries(refused)).toEqual({ modern: -33007, legacy: -33007 });
    pipe.notify('notifications/cancelled', { requestId: 'm0' });
    for (let attempt = 0; ; attempt += 1) {
      ask(pipe, `again${attempt}`, { method: 'tools/list' });
      if ('result' in (await pipe.inbox.find({ id: `again${attempt}` }))) break;
    }
  }));

describe('The end of stdin', () => {
  test('cancels what runs, answers nothing more, and exits well', async () => {
    const pipe = openPipe(gateway);
    await opened(pipe);
    const before = await cancelled(pipe);
    pipe.request('running', 'tools/call', slow({ _meta: { progressToken: 1 } }));
    await pipe.inbox.find({ method: 'notifications/progress' });
    const status = await pipe.end();
    const after = await withPipe(gateway, async (other) => {
      let count = 0;
      while ((count = await cancelled(other)) < before + 1);
      return count;
    });

    expect(status).toBe(0);
    expect(after).toBe(before + 1);
    expect(pipe.inbox.all.filter(({ id }) => id === 'running')).toEqual([]);
  });

  test('of one client lets go of what it followed, and of nothing that another one follows', async () => {
    const [leaving, staying] = [openPipe(gateway), openPipe(gateway)];
    for (const pipe of [leaving, staying]) {
      await opened(pipe);
      pipe.request('follow', 'resources/subscribe', { uri: 'fixture://text' });
      expect(await pipe.inbox.find({ id: 'follow' })).toHaveProperty('result');
    }
    await leaving.end();
    staying.request('touch', 'tools/call', { name: 'sdk__touch', arguments: { uri: 'fixture://text' } });

    expect(await staying.inbox.find({ method: 'notifications/resources/updated' })).toMatchObject({
      params: { uri: 'fixture://text' },
    });
    await staying.end();
  });
});

test('two clients with the same ids and tokens never see each other’s traffic', async () => {
  const pipes = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const pipe = openPipe(gateway);
      await opened(pipe);
      return pipe;
    }),
  );
  const results = await Promise.all(
    pipes.map(async (pipe, index) => {
      const args = { ms: 200, steps: 2, label: `p${index}` };
      pipe.request(1, 'tools/call', { name: 'echo__slow', arguments: args, _meta: { progressToken: 1 } });
      return textOf(await pipe.inbox.find({ id: 1 }));
    }),
  );

  expect(results).toEqual(pipes.map((_pipe, index) => `slow p${index} done after 2 steps`));
  pipes.forEach(({ inbox }, index) => {
    const messages = inbox.all.flatMap(({ method, params }) =>
      method === 'notifications/progress' ? [(params as JsonObject).message] : [],
    );
    expect(messages).toEqual([`step 1 of p${index}`, `step 2 of p${index}`]);
  });
  await Promise.all(pipes.map((pipe) => pipe.end()));
});

test('a batch is answered in a session of 2025-03-26, and refused in others', async () => {
  const batch = '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]';
  await withPipe(gateway, async (pipe) => {
    await opened(pipe, '2025-06-18');
    pipe.line(batch);
    expect(errorOf((await pipe.inbox.next()) ?? {}).code).toBe(-32600);
  });
  await withPipe(gateway, async (pipe) => {
    await opened(pipe, '2025-03-26');
    pipe.line(batch);
    await expect(pipe.inbox.next()).resolves.toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });
});

test.each(CLIENTS)('%s uses tools, resources and prompts over a pipe', async (kind) => {
  const client = await connectClient(kind, gateway);
  const { tools } = await client.listTools();
  const { contents } = await client.readResource({ uri: 'fixture://text' });
  const { messages } = await client.getPrompt({ name: 'sdk__greet', arguments: { who: 'you' } });
  await client.close();

  expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['echo__echo', 'sdk__echo']));
  expect(contents[0]).toMatchObject({ uri: 'fixture://text' });
  expect(messages[0]?.content).toMatchObject({ text: 'Greet you in english.' });
});
