// Edits of the configuration while the gateway runs: what changed is put in force, nothing else is touched, mistakes change nothing.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixture, type GatewayProcess, startGateway, withEnv } from './harness/gateway.ts';
import { ask, callText, toolNames } from './harness/scripted.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

let gateway: GatewayProcess;
const main = {
  mcpServers: {
    stays: fixture('echo-stdio.ts'),
    off: { ...fixture('echo-stdio.ts'), env: { X: '${env:NEVER_SET}' }, disabled: true },
  },
};

beforeAll(async () => {
  gateway = await startGateway({ config: main });
  await gateway.attempted();
});
afterAll(async () => {
  await gateway.stop();
});

/** Hears of changes to the tools, as a modern client does. */
class Listener {
  private heard = 0;
  private waiting: (() => void) | undefined;
  private readonly left = new AbortController();

  static async open(): Promise<Listener> {
    const listener = new Listener();
    const response = await fetch(gateway.url, {
      method: 'POST',
      signal: listener.left.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'subscriptions/listen',
        params: {
          notifications: { toolsListChanged: true },
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const acknowledged = Promise.withResolvers<void>();
    void (async () => {
      for (;;) {
        const { value } = (await reader?.read()) ?? {};
        if (value === undefined) return;
        if (value.includes('subscriptions/acknowledged')) acknowledged.resolve();
        listener.heard += value.split('notifications/tools/list_changed').length - 1;
        if (listener.heard > 0) listener.waiting?.();
      }
    })().catch(() => undefined);
    await acknowledged.promise;
    return listener;
  }

  /** Resolves with the next news, and forgets them. */
  async changed(): Promise<void> {
    if (this.heard === 0) await new Promise<void>((resolve) => (this.waiting = resolve));
    this.heard = 0;
  }

  /** Waits for news until the tools are as wanted. */
  async until(wanted: (names: string[]) => boolean): Promise<string[]> {
    for (;;) {
      const names = await toolNames(gateway.url);
      if (wanted(names)) return names;
      await this.changed();
    }
  }

  close(): void {
    this.left.abort();
  }
}

const pidOf = async (name: string) => (await statusOf(gateway, name)).pid;
const has = (prefix: string) => (names: string[]) => names.some((name) => name.startsWith(`${prefix}__`));
const lacks = (prefix: string) => (names: string[]) => !has(prefix)(names);
const drop = (name: string, content: unknown) => gateway.write(join('servers.d', name), content);

async function health(): Promise<{ ready: boolean; reloadError?: string }> {
  return (await (await fetch(`${gateway.origin}/readyz`)).json()) as { ready: boolean; reloadError?: string };
}

async function healthUntil(wanted: (error: string | undefined) => boolean): Promise<string | undefined> {
  return (await until(health, ({ reloadError }) => wanted(reloadError))).reloadError;
}

test('a file dropped into servers.d brings its tools, an edit restarts only its server, its removal takes them away', async () => {
  const listener = await Listener.open();
  const pid = await pidOf('stays');

  drop('added.json', fixture('echo-stdio.ts'));
  await listener.until(has('added'));
  const first = await pidOf('added');
  const slow = callText(gateway.url, 'added__slow', { ms: 1_500, label: 'old' });
  drop('added.json', withEnv(fixture('echo-stdio.ts'), { CHANGED: 'yes' }));
  await listener.until(has('added'));
  await statusUntil(gateway, 'added', ({ state, pid: now }) => state === 'ready' && now !== first);
  const env = await callText(gateway.url, 'added__env');
  rmSync(join(gateway.directory, 'servers.d/added.json'));
  await listener.until(lacks('added'));
  listener.close();

  expect(env).toContain('CHANGED');
  expect(await slow).toContain('slow old done');
  expect(await pidOf('stays')).toBe(pid);
  expect(await callText(gateway.url, 'added__pid')).toMatch(/^-32602 Unknown tool: added__pid/);
});

test('a file that an editor replaces by renaming is seen', async () => {
  const listener = await Listener.open();
  const file = join(gateway.directory, 'servers.d/swapped.json');

  writeFileSync(`${file}.tmp`, JSON.stringify(fixture('echo-stdio.ts')));
  renameSync(`${file}.tmp`, file);
  await listener.until(has('swapped'));
  writeFileSync(`${file}.tmp`, JSON.stringify({ ...fixture('echo-stdio.ts'), disabled: true }));
  renameSync(`${file}.tmp`, file);
  await listener.until(lacks('swapped'));
  rmSync(file);
  listener.close();
});

test('an edit with a mistake keeps what was in force and says so; the next good one is put in force', async () => {
  const pid = await pidOf('stays');

  gateway.write('mcp-gateway.json', '{ "mcpServers": { "stays": ');
  const error = await healthUntil((reason) => reason !== undefined);
  const during = await pidOf('stays');
  const { ready } = await health();
  gateway.write('mcp-gateway.json', main);
  await healthUntil((reason) => reason === undefined);

  expect(error).toMatch(/mcp-gateway\.json:\d+:\d+/);
  expect(ready).toBe(true);
  expect(gateway.log()).toContain('keeps the last good configuration');
  expect([during, await pidOf('stays')]).toEqual([pid, pid]);
});

test('a bad file in servers.d takes out its own server alone', async () => {
  const listener = await Listener.open();
  const pid = await pidOf('stays');
  drop('good.json', fixture('echo-stdio.ts'));
  await listener.until(has('good'));

  drop('bad.json', '{ nonsense');
  drop('late.json', fixture('echo-stdio.ts'));
  const names = await listener.until(has('late'));
  const { stdout } = await gateway.cli('servers', 'bad');
  for (const name of ['good', 'bad', 'late']) rmSync(join(gateway.directory, `servers.d/${name}.json`));
  await listener.until((all) => lacks('late')(all) && lacks('good')(all));
  listener.close();

  expect(has('good')(names) && has('stays')(names) && lacks('bad')(names)).toBe(true);
  expect(stdout).toMatch(/invalid/);
  expect(stdout).toMatch(/bad\.json/);
  expect(await pidOf('stays')).toBe(pid);
});

test('patterns and aliases change in place: other names, and no process is restarted', async () => {
  const listener = await Listener.open();
  const pid = await pidOf('stays');

  const stays = { ...main.mcpServers.stays, alias: 'short' };
  gateway.write('mcp-gateway.json', { mcpServers: { ...main.mcpServers, stays } });
  await listener.until(has('short'));
  const renamed = await pidOf('stays');
  gateway.write('mcp-gateway.json', { mcpServers: { stays: { ...stays, tools: { deny: ['p*'] } } } });
  const names = await listener.until((all) => !all.includes('short__pid'));
  const denied = await ask(gateway.url, 'tools/call', { name: 'short__pid', arguments: {} });
  const unknown = await ask(gateway.url, 'tools/call', { name: 'short__nope', arguments: {} });
  gateway.write('mcp-gateway.json', main);
  await listener.until((all) => all.includes('stays__pid'));
  listener.close();

  expect(renamed).toBe(pid);
  expect(names).toContain('short__echo');
  expect(JSON.stringify(denied.error)).toBe(JSON.stringify(unknown.error).replace('nope', 'pid'));
  expect(await pidOf('stays')).toBe(pid);
});

test('SIGHUP reads the configuration again, and with it what its references stand for', async () => {
  const listener = await Listener.open();
  const pid = await pidOf('stays');
  gateway.write('../'.concat('reload-secret-', gateway.directory.split('/').at(-1) ?? '', '.txt'), 'one');
  const secret = join(gateway.directory, '..', `reload-secret-${gateway.directory.split('/').at(-1) ?? ''}.txt`);
  const entry = fixture('moody-stdio.ts');
  drop('ref.json', { ...entry, args: [...entry.args, '--', `\${file:${secret}}`] });
  await listener.until(has('ref'));
  const before = await callText(gateway.url, 'ref__given');

  writeFileSync(secret, 'two');
  gateway.process.kill('SIGHUP');
  await until(
    () => callText(gateway.url, 'ref__given'),
    (after) => after.includes('"argv":["two"]'),
  );
  rmSync(secret);
  listener.close();

  expect(before).toContain('"argv":["one"]');
  expect(await pidOf('stays')).toBe(pid);
});

test('a disabled server is shown, not started, and its references are not read', async () => {
  const { stdout } = await gateway.cli('servers', 'off', '--json');
  const status = JSON.parse(stdout) as { state: string; pid?: number; lastError?: string };

  expect(status.state).toBe('disabled');
  expect(status.pid).toBeUndefined();
  expect(status.lastError).toBeUndefined();
});
