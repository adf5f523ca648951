// Servers that speak both eras: each client is served in its own, and what happens where a server only seems to speak both.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { connectMatrixClient } from './matrix/client.ts';
import { fixture, openGateway, type RunningGateway, startGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { openSession, resultOf, send } from './harness/raw.ts';
import { callText, legacy, modern, said, startScripted, tool, toolNames, type Visit } from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusOf, statusUntil } from './harness/status.ts';
import { erasOfRecord, recordsOf } from './harness/tasks.ts';

tellTestsApart();

/** A place for a server that writes down its starts. */
function counted() {
  const space = workspace({});
  onTestFinished(() => space.remove());
  const file = join(space.directory, 'starts');
  return {
    space,
    file: (name: string) => join(space.directory, name),
    moody: (...args: string[]) => fixture('moody-stdio.ts', '--starts', file, ...args),
    starts: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0),
    write: (server: object) => space.write('mcp-gateway.json', { mcpServers: { s: server } }),
  };
}

/** Calls a tool in a legacy session of its own. */
async function legacyCall({ origin }: RunningGateway, name: string, args: JsonObject = {}): Promise<unknown> {
  const session = await openSession(origin);
  const answer = await send(origin, session.request('tools/call', { name, arguments: args }));
  await send(origin, session.delete());
  return resultOf(answer).content;
}

const text = (value: string) => [{ type: 'text', text: value }];

/** The eras of the client and of the server in the record of every call of a tool. */
async function recordedEras(gateway: RunningGateway): Promise<Set<string>> {
  const records = await recordsOf(gateway, '--method', 'tools/call');
  return new Set(records.map(erasOfRecord));
}

/** A server that speaks both eras at one URL; `tools` are those that legacy clients are offered too. */
async function startDual(script: (visit: Visit) => JsonObject | undefined = () => undefined, tools = ['echo']) {
  const sessions = new Set<string>();
  const answers = (visit: Visit) => (visit.rpc === 'tools/call' ? said(`${visit.rpc} of ${eraOf(visit)}`) : undefined);
  const asModern = modern(() => [tool('echo')], answers);
  const asLegacy = legacy(() => tools.map((name) => tool(name)), sessions, answers);
  const server = await kept(
    startScripted((visit) => script(visit) ?? (visit.response.headersSent ? undefined : serve(visit))),
  );
  const serve = (visit: Visit) => (eraOf(visit) === 'modern' ? asModern(visit) : asLegacy(visit));
  return server;
}

const eraOf = ({ headers, rpc }: Visit): 'modern' | 'legacy' =>
  rpc !== 'initialize' && headers['mcp-protocol-version'] === '2026-07-28' ? 'modern' : 'legacy';

test.concurrent.each(['Streamable HTTP', 'stdio'])(
  'over %s a server of both eras is spoken to in the era of each caller, and the records say so',
  async (transport) => {
    const args = ['--era', 'both', '--transport', transport === 'stdio' ? 'stdio' : 'http'] as const;
    const entry =
      transport === 'stdio'
        ? fixture('sdk-server.ts', ...args)
        : { url: (await kept(startServer('sdk-server.ts', ...args))).url };
    const gateway = await openTried({ config: { mcpServers: { s: entry } } });
    const place = { url: `${gateway.origin}/mcp/s/s` };
    const [older, newer] = await Promise.all([
      connectMatrixClient('SDK v2 legacy', place),
      connectMatrixClient('SDK v2 modern', place),
    ]);
    onTestFinished(() => older.close());
    onTestFinished(() => newer.close());

    // alternately and at once: nothing of the one crosses to the other
    for (const label of ['one', 'two', 'three']) {
      const answers = await Promise.all([older, newer].map((client) => client.call('ask_form', { label })));
      for (const { content } of answers) expect(JSON.stringify(content)).toContain(`red ${label}`);
    }

    expect(older.sdk.getServerCapabilities()).toMatchObject({ logging: {}, resources: { subscribe: true } });
    expect(await recordedEras(gateway)).toEqual(new Set(['legacy legacy', 'modern modern']));
    expect(await statusOf(gateway, 's')).toMatchObject({ era: 'modern', second: { era: 'legacy', state: 'ready' } });
  },
);

test.concurrent(
  'a modern server is asked once whether it speaks the legacy era too; then the gateway translates, also after a restart',
  async () => {
    const server = await kept(
      startScripted(
        modern(
          () => [tool('echo')],
          ({ rpc }) => (rpc === 'tools/call' ? said('modern') : undefined),
        ),
      ),
    );
    const space = workspace({ mcpServers: { s: { url: server.url } } });
    onTestFinished(() => space.remove());
    for (let run = 0; run < 2; run++) {
      const gateway = await openGateway({ space });
      await gateway.attempted();
      for (let call = 0; call < 3; call++) expect(await legacyCall(gateway, 's__echo')).toEqual(text('modern'));
      expect(await statusOf(gateway, 's')).toMatchObject({
        era: 'modern',
        state: 'ready',
        errors: [],
        bridged: { era: 'legacy', why: expect.stringContaining('Unsupported protocol version') as string },
      });
      await gateway.stop();
    }

    expect(server.count('initialize')).toBe(1);
  },
);

test.concurrent('a legacy client sees the list that is known, and hears when that of its era was read', async () => {
  const server = await startDual(undefined, ['echo', 'older']);
  const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
  const client = await connectMatrixClient('SDK v2 legacy', { url: `${gateway.origin}/mcp` });
  onTestFinished(() => client.close());

  const first = (await client.sdk.listTools()).tools.map(({ name }) => name);
  await client.heard.next('notifications/tools/list_changed');
  const second = (await client.sdk.listTools()).tools.map(({ name }) => name);

  expect(first).toEqual(['s__echo']);
  expect(second).toEqual(['s__echo', 's__older']);
  expect(await toolNames(gateway.url)).toEqual(['s__echo']);
  expect(await legacyCall(gateway, 's__older')).toEqual(text('tools/call of legacy'));
  expect(await callText(gateway.url, 's__older')).toContain('-32602');
});

test.concurrent('an entry that pins an era is spoken to in that era alone', async () => {
  const server = await startDual();
  const gateway = await openTried({
    config: {
      mcpServers: { older: { url: server.url, era: 'legacy' }, newer: { url: server.url, era: 'modern' } },
    },
  });

  for (const call of [legacyCall(gateway, 'older__echo'), legacyCall(gateway, 'newer__echo')]) await call;
  expect(await legacyCall(gateway, 'newer__echo')).toEqual(text('tools/call of modern'));
  expect(await callText(gateway.url, 'older__echo')).toBe('tools/call of legacy');
  expect(server.count('server/discover')).toBe(1);
});

test.concurrent.each([
  ['legacy', 'modern'],
  ['modern', 'legacy'],
] as const)(
  'isolation: shared keeps one process, in the era of its first caller: %s before %s',
  async (first, second) => {
    const { moody, starts, space, write } = counted();
    write({ ...moody('--era', 'dual'), isolation: 'shared' });
    const gateway = await openTried({ space });
    const calls = {
      legacy: () => legacyCall(gateway, 's__echo', { text: 'older' }),
      modern: () => callText(gateway.url, 's__echo', { text: 'newer' }),
    };

    for (const era of [first, second, first])
      expect(await calls[era]()).toEqual(era === 'legacy' ? text('older') : 'newer');
    const status = await statusOf(gateway, 's');

    expect(status).toMatchObject({ era: first, state: 'ready' });
    expect(status.instances).toHaveLength(1);
    expect(starts()).toBe(first === 'legacy' ? 2 : 1);
  },
);

test.concurrent('a server whose second process fails keeps one; the gateway translates and says why', async () => {
  const { moody, file, space, write } = counted();
  write(moody('--era', 'dual', '--lock', file('lock')));
  const gateway = await openTried({ space });

  for (let call = 0; call < 3; call++)
    expect(await legacyCall(gateway, 's__echo', { text: 'older' })).toEqual(text('older'));
  expect(await callText(gateway.url, 's__echo', { text: 'newer' })).toBe('newer');
  const status = await statusOf(gateway, 's');
  expect(status).toMatchObject({
    era: 'modern',
    state: 'ready',
    bridged: { era: 'legacy', why: expect.stringContaining('exit code 7') as string },
  });
  expect(status.instances).toHaveLength(1);
  const { stdout } = await gateway.cli('servers', 's');
  expect(stdout).toMatch(/translates +for legacy clients: .*exit code 7/);
});

test.concurrent.each([
  ['ends on initialize', ['--era', 'modern', '--unknown', 'exit'], 'exit code 3'],
  ['answers initialize with a modern version', ['--era', 'dual', '--version', '2026-07-28'], '2026-07-28'],
])('a process that %s costs nobody a call', async (_does, args, why) => {
  const { moody, starts, space, write } = counted();
  write(moody(...args));
  const gateway = await openTried({ space });
  const newer = callText(gateway.url, 's__echo', { text: 'newer' });

  expect(await legacyCall(gateway, 's__echo', { text: 'older' })).toEqual(text('older'));
  expect(await newer).toBe('newer');
  expect(await legacyCall(gateway, 's__echo', { text: 'again' })).toEqual(text('again'));
  expect((await statusOf(gateway, 's')).bridged?.why).toContain(why);
  expect(starts()).toBe(2);
});

test.concurrent(
  'a server over HTTP that dies on the first message of the other era fails the call of that caller alone',
  async () => {
    let dead = false;
    const server = await startDual((visit) => {
      if (visit.rpc === 'initialize') dead = true;
      if (dead) visit.response.destroy();
      return undefined;
    });
    const gateway = await openTried({ config: { mcpServers: { s: { url: server.url } } } });
    expect(await callText(gateway.url, 's__echo')).toBe('tools/call of modern');

    const session = await openSession(gateway.origin);
    const { text: answer } = await send(
      gateway.origin,
      session.request('tools/call', { name: 's__echo', arguments: {} }),
    );
    expect(answer).toContain('\\"s\\"');
    dead = false;
    expect(await callText(gateway.url, 's__echo')).toBe('tools/call of modern');
    expect(server.count('initialize')).toBe(1);
  },
);

test('after a restart the era is opened first that was used last', async () => {
  const { moody, starts, space, write } = counted();
  write(moody('--era', 'dual'));
  const gateway = await startGateway({ space });
  await gateway.attempted();
  await callText(gateway.url, 's__echo', { text: 'newer' });
  await legacyCall(gateway, 's__echo', { text: 'older' });
  await gateway.stop();
  const before = starts();

  const again = await startGateway({ space });
  await again.attempted();
  const atStart = await statusUntil(again, 's', ({ state }) => state === 'ready');
  expect(await callText(again.url, 's__echo', { text: 'newer' })).toBe('newer');
  const later = await statusOf(again, 's');
  await again.stop();

  expect([before, starts()]).toEqual([2, 4]);
  expect(atStart).toMatchObject({ era: 'legacy' });
  expect(atStart.instances).toHaveLength(1);
  expect(later).toMatchObject({ era: 'legacy', second: { era: 'modern', state: 'ready' } });
});
