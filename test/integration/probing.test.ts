// Finding out what a server speaks: every kind of server that is deployed, and those that answer with anything but an answer.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, expect, test } from 'vitest';
import { fixture, openGateway, type RunningGateway, startGateway, workspace } from './harness/gateway.ts';
import { callText, legacy, modern, refuse, said, startScripted, tool, type Visit } from './harness/scripted.ts';
import { startServer } from './harness/servers.ts';
import { statusesOf, statusOf, statusUntil, until } from './harness/status.ts';

const directory = mkdtempSync(join(tmpdir(), 'probing-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const starts = (name: string) => readFileSync(join(directory, name), 'utf8').trim().split('\n').length;
const moody = (name: string, ...args: string[]) =>
  fixture('moody-stdio.ts', '--starts', join(directory, name), ...args);

function eras(state: string): { server: string; era: string; learned_at: number }[] {
  const db = new Database(join(state, 'state.db'), { readonly: true });
  try {
    return db.prepare<[], { server: string; era: string; learned_at: number }>('SELECT * FROM spoken').all();
  } finally {
    db.close();
  }
}

// not beside the others: how long a server takes to start decides how it is met
test('every kind of stdio server is met in its era, whatever it does with the probe, and is remembered', async () => {
  const space = workspace({
    mcpServers: {
      modern: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'modern'),
      legacy: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'legacy'),
      dual: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'both'),
      v1: fixture('sdk-v1-server.ts', '--transport', 'stdio'),
      exits: moody('exits', '--unknown', 'exit'),
      silent: moody('silent', '--unknown', 'silent'),
      slow: moody('slow', '--era', 'dual', '--late', '2500'),
    },
  });
  const before = Date.now();
  // one that ends on what it does not know ends on its first ping too, once in the life of a gateway
  const settled = (gateway: RunningGateway, ofExits: number) =>
    until(
      () => statusesOf(gateway),
      (all) => starts('exits') === ofExits && all.every(({ state }) => state === 'ready'),
    );
  const first = await startGateway({ space });
  await first.attempted();
  const found = await settled(first, 4);
  const answers = await Promise.all(
    found.map(({ name }) => callText(first.url, `${name}__echo`, { text: `hello ${name}` })),
  );
  await first.stop();
  const again = await startGateway({ space });
  await again.attempted();
  const found2 = await settled(again, 6);
  await again.stop();
  const remembered = eras(space.state);
  space.remove();

  const expected = {
    modern: 'modern',
    legacy: 'legacy',
    dual: 'modern',
    v1: 'legacy',
    exits: 'legacy',
    silent: 'legacy',
    slow: 'modern',
  };
  for (const all of [found, found2])
    expect(Object.fromEntries(all.map(({ name, state, era }) => [name, `${state} ${era ?? ''}`]))).toEqual(
      Object.fromEntries(Object.entries(expected).map(([name, era]) => [name, `ready ${era}`])),
    );
  expect(answers).toEqual(found.map(({ name }) => `hello ${name}`));
  expect(Object.fromEntries(remembered.map(({ server, era }) => [server, era]))).toEqual(expected);
  for (const { learned_at } of remembered) expect(learned_at).toBeGreaterThanOrEqual(before);
  // the probes cost two processes, once: the second gateway knew
  expect([starts('exits'), starts('silent'), starts('slow')]).toEqual([6, 2, 3]);
}, 60_000);

test.concurrent.each([1, 2, 3, 4])(
  'which era is found does not depend on how starts failed: a server of both eras whose first %i starts end is modern',
  async (failing) => {
    const gateway = await openGateway({
      config: { mcpServers: { s: moody(`failing-${failing}`, '--era', 'dual', '--failing', String(failing)) } },
    });
    const status = await statusUntil(gateway, 's', ({ state }) => state === 'ready');
    const text = await callText(gateway.url, 's__echo', { text: 'here' });
    await gateway.stop();

    expect(status.era).toBe('modern');
    expect(text).toBe('here');
  },
);

test.concurrent.each([401, 403, 429, 503])('HTTP %i concludes nothing about the era', async (status) => {
  let refusals = 2;
  const sessions = new Set<string>();
  const asModern = modern(
    () => [tool('echo')],
    (visit) => (visit.rpc === 'tools/call' ? said('modern') : undefined),
  );
  const asLegacy = legacy(
    () => [tool('echo')],
    sessions,
    () => undefined,
  );
  const server = await startScripted((visit: Visit) => {
    if (visit.rpc === 'server/discover' && refusals-- > 0) {
      refuse(visit, status, { named: refusals === 0 });
      return;
    }
    return visit.rpc === 'initialize' || visit.headers['mcp-session-id'] !== undefined
      ? asLegacy(visit)
      : asModern(visit);
  });
  const gateway = await openGateway({ config: { mcpServers: { s: { url: server.url } } } });
  await gateway.attempted();
  const refused = await statusOf(gateway, 's');
  await server.visited((visit) => visit.rpc === 'tools/list');
  const text = await callText(gateway.url, 's__echo');
  await gateway.stop();
  await server.stop();

  expect(server.count('initialize')).toBe(0);
  expect(text).toBe('modern');
  expect(refused.lastError ?? '').toMatch(new RegExp(`HTTP ${status}|^$`));
});

test.concurrent.each([
  { times: 'once', refusals: 1, state: 'ready', lastError: '' },
  { times: 'always', refusals: Infinity, state: 'waiting', lastError: 'refuses 2026-07-28 and names it as what it' },
])(
  'a server that $times refuses our revision and names it as supported is asked twice, then $state',
  async ({ refusals, state, lastError }) => {
    let left = refusals;
    const asModern = modern(
      () => [tool('echo')],
      () => undefined,
    );
    const server = await startScripted((visit: Visit) => {
      if (visit.rpc !== 'server/discover' || left-- <= 0) return asModern(visit);
      const data = { supported: ['2026-07-28'], requested: '2026-07-28' };
      const error = { code: -32022, message: 'Unsupported protocol version', data };
      visit.response.writeHead(400, { 'content-type': 'application/json' });
      visit.response.end(JSON.stringify({ jsonrpc: '2.0', id: visit.id, error }));
      return undefined;
    });
    const gateway = await openGateway({ config: { mcpServers: { s: { url: server.url } } } });
    await gateway.attempted();
    const asked = server.count('server/discover');
    const status = await statusUntil(gateway, 's', (each) => each.state === state); // it may be tried again already
    await gateway.stop();
    await server.stop();

    expect(asked).toBe(2);
    expect(status.state).toBe(state);
    expect(status.lastError ?? '').toContain(lastError);
  },
);

test.concurrent('HTTP silence concludes nothing either', async () => {
  let silent = true;
  const script = modern(
    () => [tool('echo')],
    () => undefined,
  );
  const server = await startScripted((visit) => {
    if (visit.rpc === 'initialize') {
      refuse(visit, 400);
      return;
    }
    if (!silent) return script(visit);
    silent = false;
    return undefined;
  });
  const gateway = await openGateway({
    config: { mcpServers: { s: { url: server.url, timeouts: { firstByte: '1s' } } } },
  });
  await gateway.attempted();
  await server.visited((visit) => visit.rpc === 'tools/list');
  await gateway.stop();
  await server.stop();

  expect(server.count('initialize')).toBe(0);
});

test.concurrent('what is remembered of a server is asked again as soon as it fails', async () => {
  const old = await startServer('sdk-server.ts', '--era', 'legacy');
  const port = new URL(old.url).port;
  const space = workspace({ mcpServers: { s: { url: old.url } } });
  const first = await openGateway({ space });
  await first.attempted();
  const before = await statusOf(first, 's');
  await first.stop();
  await old.stop();
  const upgraded = await startServer('sdk-server.ts', '--era', 'modern', '--port', port);
  const second = await openGateway({ space });
  await second.attempted();
  const after = await statusUntil(second, 's', ({ state }) => state === 'ready');
  await second.stop();
  await upgraded.stop();
  const remembered = eras(space.state);
  space.remove();

  expect([before.era, after.era]).toEqual(['legacy', 'modern']);
  expect(remembered.map(({ era }) => era)).toEqual(['modern']);
});
