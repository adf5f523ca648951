// Edits of the configuration of a composed gateway: what is put in force, what is refused, what waits for the next start, who is told.
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { type EventStream, modern, openSession, stream } from '../../integration/harness/raw.ts';
import { Composition } from './composition.ts';

const TOKEN = 'a-token-of-enough-bytes';
const ENV = { TOKEN, WEAK: 'short' };
const tokens = (name: string) => ({ auth: { tokens: [{ id: 'alice', token: `\${env:${name}}` }] } });
const PUBLIC = { listen: { host: '0.0.0.0', allowedHosts: ['127.0.0.1'] } };
const CHANGED = 'notifications/tools/list_changed';

describe('an edit that exposes a gateway which others can reach is refused, and the last good one stays', () => {
  test.for([
    ['that drops all tokens', PUBLIC, /no token is configured/],
    ['with a token that can be guessed', { ...PUBLIC, ...tokens('WEAK') }, /can be guessed/],
  ] as const)('%s', async ([, edit, why]) => {
    const gateway = await Composition.start({
      servers: { s: { tools: ['echo'] } },
      config: { ...PUBLIC, ...tokens('TOKEN') },
      env: ENV,
    });
    const call = (headers = {}) => gateway.ask('tools/call', { name: 's__echo' }, { headers });
    const authorized = { Authorization: `Bearer ${TOKEN}` };
    await call(authorized);

    await gateway.reload(gateway.file({ config: { auth: {}, ...edit } }));

    expect(await call()).toMatchObject({ status: 401 });
    expect((await call(authorized)).error).toBeUndefined();
    const [before, after] = gateway.records();
    expect(after?.config).toBe(before?.config);
    expect(gateway.gateway.health().reloadError).toMatch(why);
    expect(gateway.events('config_refused')).not.toEqual([]);
    expect(gateway.events('config_reloaded')).toEqual([]);
    expect(gateway.logged('the edit is not in force; the gateway keeps the last good configuration')).toBe(true);
    expect(await gateway.ready()).toEqual({ status: 200, ready: true }); // others are told nothing more
  });

  test('where it is bound counts, not where the edit says that it will be', async () => {
    const gateway = await Composition.start({
      servers: { s: { tools: ['echo'] } },
      config: { ...PUBLIC, ...tokens('TOKEN') },
      env: ENV,
    });

    await gateway.reload(gateway.file({ config: { auth: {}, listen: {} } }));

    expect(await gateway.ask('tools/call', { name: 's__echo' })).toMatchObject({ status: 401 });
  });

  test('but on loopback tokens may be dropped', async () => {
    const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } }, config: tokens('TOKEN'), env: ENV });
    const call = () => gateway.ask('tools/call', { name: 's__echo' });

    const before = await call();
    await gateway.reload(gateway.file({ config: { auth: {} } }));
    const after = await call();

    expect(before.status).toBe(401);
    expect(after.error).toBeUndefined();
    expect(gateway.events('authentication_failed')).toMatchObject([{ detail: { address: '127.0.0.1' } }]);
  });
});

describe('what waits for the next start is named', () => {
  const LISTEN = 'listen.host and listen.port take effect at the next start';
  const PROXIES = 'listen.trustedProxies takes effect at the next start';
  const LIMITS = /^limits\.sessions, limits\.upstreamMessage and, .*limits\.items take effect at the next start$/;

  test.for([
    ['listen.host', { listen: { host: 'localhost' } }, LISTEN],
    ['listen.port', { listen: { port: 7421 } }, LISTEN],
    ['listen.trustedProxies', { listen: { trustedProxies: ['10.0.0.0/8'] } }, PROXIES],
    ['limits.sessions', { limits: { sessions: 77 } }, LIMITS],
    ['limits.upstreamMessage', { limits: { upstreamMessage: '1MiB' } }, LIMITS],
    ['limits.items', { limits: { items: 5_000 } }, LIMITS],
    ['nothing else', { limits: { body: 2_048 }, listen: { allowedHosts: ['gateway.example'] } }, undefined],
  ] as const)('%s', async ([, config, expected]) => {
    const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } } });
    const large = { name: 's__echo', arguments: { text: 'x'.repeat(4_000) } };

    await gateway.reload(gateway.file({ config }));

    for (const line of [LISTEN, PROXIES, LIMITS]) expect(gateway.logged(line)).toBe(line === expected);
    expect(gateway.log.filter(({ level, msg = '' }) => level === 'warn' && msg.includes('next start'))).toHaveLength(
      expected === undefined ? 0 : 1,
    );
    // the rest of the edit is in force
    expect((await gateway.ask('tools/call', large)).status).toBe(expected === undefined ? 413 : 200);
    const elsewhere = await gateway.ask('tools/list', {}, { headers: { Host: 'gateway.example' } });
    expect(elsewhere.status).toBe(expected === undefined ? 200 : 403);
  });
});

test('a call in flight ends under the configuration that it began with, whatever is in force by then', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] }, gone: { tools: ['hold'] } } });
  const held = [gateway.ask('tools/call', { name: 's__hold' }), gateway.ask('tools/call', { name: 'gone__hold' })];
  await Promise.all([gateway.fake('s').holds(1), gateway.fake('gone').holds(1)]);

  const { mcpServers } = gateway.file({ entries: { s: { tools: { deny: ['hold'] } } } }) as { mcpServers: JsonObject };
  await gateway.reload({ mcpServers: { s: mcpServers.s } });
  const refused = [
    await gateway.ask('tools/call', { name: 's__hold' }),
    await gateway.ask('tools/call', { name: 'gone__hold' }),
  ];
  gateway.fake('s').release('late');
  gateway.fake('gone').release('late');

  for (const answer of await Promise.all(held))
    expect(answer.result?.content).toEqual([{ type: 'text', text: 'late' }]);
  expect(refused.map(({ error }) => error?.message)).toEqual(['Unknown tool: s__hold', 'Unknown tool: gone__hold']);
  const records = gateway.records();
  expect(records).toMatchObject([
    { status: 'ok', decision: { allowed: true } },
    { status: 'ok', decision: { allowed: true } },
    { exposed: 's__hold', status: 'refused', decision: { allowed: false, rule: 'mcpServers.s.tools.deny' } },
    { exposed: 'gone__hold', status: 'refused', decision: { allowed: false, rule: 'unknown' } },
  ]);
  const [first, second, third, fourth] = records.map(({ config }) => config);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
  expect(fourth).toBe(third);
  expect(gateway.events('config_reloaded')).toMatchObject([{ detail: { before: first, config: third } }]);
});

describe('of changed servers', () => {
  const OFFERS = { s: { tools: ['echo', 'secret'] }, other: { tools: ['x'] } };

  async function listen(gateway: Composition, path = '/mcp'): Promise<EventStream> {
    const notifications = { toolsListChanged: true };
    const opened = await stream(gateway.origin, modern('subscriptions/listen', { notifications }, { path }));
    await opened.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
    return opened;
  }

  const heard = ({ inbox }: EventStream) => inbox.all.filter(({ method }) => method === CHANGED).length;

  test('listeners and sessions are told that the lists changed, if they are of their endpoint', async () => {
    const gateway = await Composition.start({ servers: OFFERS });
    const all = await listen(gateway);
    const own = await listen(gateway, '/mcp/s/s');
    const others = await listen(gateway, '/mcp/s/other');
    const session = await openSession(gateway.origin);
    const standing = await stream(gateway.origin, session.get());
    await standing.firstId;

    await gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['secret'] } } } }));
    for (const { inbox } of [all, own, standing]) await inbox.find({ method: CHANGED });
    const early = heard(others);
    await gateway.reload(gateway.file({ entries: { other: { alias: 'o' } } }));
    await others.inbox.find({ method: CHANGED });

    expect(early).toBe(0);
    expect(gateway.told.filter(({ kind }) => kind === 'reloaded')).toEqual([
      { kind: 'reloaded', touched: ['s'], again: false },
      { kind: 'reloaded', touched: ['s', 'other'], again: false },
    ]);
  });

  test('one that is added is started, one that is removed is gone, and an edit of nothing else touches none', async () => {
    const gateway = await Composition.start({ servers: OFFERS });
    const all = gateway.file() as { mcpServers: JsonObject };
    const { s = null, other = null } = all.mcpServers;
    const names = async () => ((await gateway.ask('tools/list')).result?.tools as JsonObject[]).map(({ name }) => name);

    await gateway.reload({ mcpServers: { s } });
    const without = await names();
    await gateway.reload({ mcpServers: { s, other } });
    const again = await names();
    await gateway.reload({ mcpServers: { s, other }, limits: { depth: 32 } });

    expect(without).toEqual(['s__echo', 's__secret']);
    expect(again).toEqual(['s__echo', 's__secret', 'other__x']);
    expect(gateway.told.filter(({ kind }) => kind === 'reloaded')).toMatchObject([
      { touched: ['other'] },
      { touched: ['other'] },
      { touched: [] },
    ]);
    expect(gateway.events('server_started').map(({ detail }) => (detail as JsonObject).instance)).toEqual([
      's#1',
      'other#1',
      'other#2',
    ]);
  });
});

test('an edit that cannot be read changes nothing, and says so until one that can be', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo'] } } });
  const good = gateway.file();

  await gateway.reload('{ "mcpServers": ');
  const refused = await gateway.ready();
  const called = await gateway.ask('tools/call', { name: 's__echo' });
  await gateway.reload(good);
  const mended = await gateway.ready();

  expect(refused).toMatchObject({
    status: 200,
    ready: true,
    reloadError: expect.stringContaining('mcp-gateway.json:1') as string,
  });
  expect(called.error).toBeUndefined();
  // the watch may have read it too
  expect(gateway.events('config_refused')[0]).toMatchObject({
    detail: { reason: expect.stringContaining('mcp-gateway.json:1') as string },
  });
  expect(mended.reloadError).toBeUndefined();
  expect(mended.config).toBe(refused.config);
  expect(gateway.told.filter(({ kind }) => kind === 'reloaded')).toEqual([
    { kind: 'reloaded', touched: [], again: true },
  ]);
  expect(gateway.events('config_reloaded')).toEqual([]);
  expect(gateway.logged('the configuration is in force again')).toBe(true);
});

test('an edit whose record cannot be written is not in force', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo', 'secret'] } } });
  gateway.breakAudit();

  await gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['secret'] } } } }));
  const { reloadError } = gateway.gateway.health();
  gateway.mendAudit();
  const called = await gateway.ask('tools/call', { name: 's__secret' });

  expect(reloadError).toMatch(/audit log cannot be written/);
  expect(called.error).toBeUndefined();
});

test('an edit is seen without being asked for, and what it warns of is told', async () => {
  const gateway = await Composition.start({ servers: { s: { tools: ['echo', 'secret'] } } });

  const entry = { tools: { deny: ['secret'] }, comand: 'x' };
  gateway.space.write('mcp-gateway.json', gateway.file({ entries: { s: entry } }));
  await gateway.toldOf('reloaded');
  const called = await gateway.ask('tools/call', { name: 's__secret' });

  expect(called.error).toMatchObject({ code: -32602 });
  expect(gateway.logged(/comand/)).toBe(true);
});

test('nothing is watched any more once it has stopped', async () => {
  const watch = vi.spyOn(fs, 'watch');
  syncBuiltinESMExports();
  const gateway = await Composition.start();
  const watchers = watch.mock.results.map(({ value }) => once(value as fs.FSWatcher, 'close'));
  watch.mockRestore();
  syncBuiltinESMExports();

  await gateway.close();

  expect(watchers).not.toEqual([]);
  await Promise.all(watchers);
});

test('where the system lets nothing be watched, it is said why, and an edit is read when somebody asks for it', async () => {
  const watch = vi.spyOn(fs, 'watch').mockImplementation(() => {
    throw new Error('no space left for watches');
  });
  syncBuiltinESMExports();
  onTestFinished(() => {
    watch.mockRestore();
    syncBuiltinESMExports();
  });
  const gateway = await Composition.start({ servers: { s: { tools: ['echo', 'secret'] } } });

  await gateway.reload(gateway.file({ entries: { s: { tools: { deny: ['secret'] } } } }));
  const called = await gateway.ask('tools/call', { name: 's__secret' });

  expect(gateway.log).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      msg: 'the configuration is not watched; send SIGHUP after an edit',
      err: expect.objectContaining({
        message: expect.stringContaining('no space left for watches') as string,
      }) as unknown,
    }),
  );
  expect(called.error).toMatchObject({ code: -32602 });
});
