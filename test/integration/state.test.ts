// A state directory or an address that cannot be had: said clearly, with exit 8, and nothing lost.
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { loadSqlite } from '../../src/storage/database.ts';
import { BIN, type CliResult, fixture, runCli, startGateway, workspace, type Workspace } from './harness/gateway.ts';
import { callTool } from './harness/modern-call.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

function space(config: object = {}): Workspace {
  const place = workspace(config);
  onTestFinished(() => place.remove());
  return place;
}

function serve({ config, state }: Workspace, ...args: string[]): Promise<CliResult> {
  return runCli(['serve', '--port', '0', '--config', config, '--state', state, ...args]);
}

test('a second gateway on a state directory is refused, naming the process and its URL', async () => {
  const gateway = await startGateway({});

  const second = await serve(gateway);

  expect(second.status).toBe(8);
  expect(second.stdout).toBe('');
  expect(second.stderr).toContain(`in use by process ${gateway.process.pid}`);
  expect(second.stderr).toContain(gateway.url);
  expect((await callTool(gateway.url, 'none')).error?.message).toBe('Unknown tool: none');
  await gateway.stop();
});

test('a port in use is refused, and the state directory is free again', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as AddressInfo;
  const place = space();

  const refused = await runCli(['serve', '--port', String(port), '--config', place.config, '--state', place.state]);
  blocker.close();

  expect(refused.status).toBe(8);
  expect(refused.stdout).toBe('');
  expect(refused.stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} is in use by another process.*--port`));
  expect((await runCli(['servers', '--config', place.config, '--state', place.state])).status).toBe(0);
});

test('an address of another machine is refused', async () => {
  const place = space({ auth: { tokens: [{ id: 'a', token: 'a-token-of-enough-length-1234567890' }] } });

  const refused = await serve(place, '--host', '203.0.113.1');

  expect(refused.status).toBe(8);
  expect(refused.stderr).toContain('203.0.113.1 is not an address of this machine');
});

test('an address that others can reach wants a token', async () => {
  const refused = await serve(space(), '--host', '0.0.0.0');

  expect(refused.status).toBe(8);
  expect(refused.stderr).toMatch(/can be reached by others, and no token is configured/);
});

test('a state directory that cannot be made is refused', async () => {
  const place = space();
  place.write('file', 'not a directory');

  const refused = await runCli(['serve', '--config', place.config, '--state', join(place.directory, 'file', 'state')]);

  expect(refused.status).toBe(8);
  expect(refused.stderr).toMatch(/Cannot use the state directory .*Name another with --state/);
});

test.runIf(isRoot)('a state directory that cannot be written is refused', async () => {
  const place = space();
  mkdirSync(place.state);
  chownSync(place.state, NOBODY, NOBODY);
  chmodSync(place.state, 0o500);
  chmodSync(place.directory, 0o755);

  const refused = await promisify(execFile)(
    process.execPath,
    [BIN, 'serve', '--port', '0', '--config', place.config, '--state', place.state],
    { uid: NOBODY, gid: NOBODY },
  ).catch((error: unknown) => error as { code: number; stderr: string });

  expect(refused).toMatchObject({ code: 8 });
  expect(refused.stderr).toMatch(/is not writable.*Change its permissions/);
});

test.each([['state.db'], ['audit.db']])(
  'a newer %s is refused with both versions named, and left as it is',
  async (name) => {
    const place = space({ mcpServers: { echo: fixture('echo-stdio.ts') } });
    expect((await runCli(['servers', '--config', place.config, '--state', place.state])).status).toBe(0);
    const file = join(place.state, name);
    const db = new (loadSqlite())(file);
    db.pragma('user_version = 99');
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    const before = readFileSync(file);

    const refused = await serve(place);

    expect(refused.status).toBe(8);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(/has version 99, this program knows version \d at most/);
    expect(readFileSync(file).equals(before)).toBe(true);
  },
);

test('the log of a newer version is not read as if it were known', async () => {
  const place = space();
  expect((await runCli(['servers', '--config', place.config, '--state', place.state])).status).toBe(0);
  const db = new (loadSqlite())(join(place.state, 'audit.db'));
  db.pragma('user_version = 99');
  db.close();

  const refused = await runCli(['audit', 'query', '--config', place.config, '--state', place.state]);

  expect(refused.status).toBe(8);
  expect(refused.stderr).toMatch(/has version 99/);
});
