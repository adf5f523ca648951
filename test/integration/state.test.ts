// A state directory or an address that cannot be had: said clearly, with exit 8, and nothing lost.
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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

test('a newer state.db is refused with both versions named, and left as it is', async () => {
  const place = space({ mcpServers: { echo: fixture('echo-stdio.ts') } });
  expect((await runCli(['servers', '--config', place.config, '--state', place.state])).status).toBe(0);
  const file = join(place.state, 'state.db');
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
});

test('a log of a newer version is refused with both versions named, neither gone on with nor read as if it were known', async () => {
  const place = space();
  expect((await runCli(['servers', '--config', place.config, '--state', place.state])).status).toBe(0);
  const folder = join(place.state, 'audit');
  const file = join(folder, readdirSync(folder)[0]!);
  writeFileSync(file, '{"seq":100,"v":99,"unheard":"of"}\n', { flag: 'a' });
  const before = readFileSync(file);

  const refused = [await serve(place)];
  for (const command of ['query', 'verify'])
    refused.push(await runCli(['audit', command, '--config', place.config, '--state', place.state]));

  for (const { status, stdout, stderr } of refused) {
    expect({ status, stdout }).toEqual({ status: 8, stdout: '' });
    expect(stderr).toMatch(/has version 99, this program knows version \d at most/);
  }
  expect(readFileSync(file).equals(before)).toBe(true);
});

test('the log of an earlier version is taken over by the next start', async () => {
  const place = space();
  mkdirSync(place.state, { mode: 0o700 });
  const db = new (loadSqlite())(join(place.state, 'audit.db'));
  db.exec('CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT');
  const body = `{"seq":1,"v":1,"prev":"${'0'.repeat(64)}","time":5,"kind":"event","event":"long_ago","detail":{}}`;
  db.prepare('INSERT INTO records VALUES (1, ?)').run(body);
  db.pragma('user_version = 1');
  db.close();
  const cli = (...args: string[]) => runCli([...args, '--config', place.config, '--state', place.state]);

  const early = await cli('audit', 'verify');
  const start = await cli('servers');
  const verify = await cli('audit', 'verify');
  const query = await cli('audit', 'query', '--kind', 'event', '--text', 'long_ago', '--json');

  expect(early).toMatchObject({ status: 9, stdout: '' });
  expect(early.stderr).toContain('start the gateway once');
  expect(start.status).toBe(0);
  expect(verify.status).toBe(0);
  expect(JSON.parse(query.stdout)).toMatchObject({ seq: 1, event: 'long_ago', time: '1970-01-01T00:00:00.005Z' });
});
