// The package outside the clone: what `npm pack` makes, installed into an empty prefix, runs and is called by the name it has there.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixture, ROOT } from './harness/gateway.ts';

const run = promisify(execFile);
let prefix: string;
let folder: string;
/** As a shell has it in which nothing was started by npm. */
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  prefix = mkdtempSync(join(tmpdir(), 'gateway-prefix-'));
  folder = join(prefix, 'elsewhere');
  mkdirSync(folder);
  // built before the tests: packing anew would take the program away from those beside this one
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', prefix], { cwd: ROOT });
  const [file = ''] = readdirSync(prefix).filter((name) => name.endsWith('.tgz'));
  await run('npm', ['install', '--global', '--prefix', prefix, '--prefer-offline', `./${file}`], { cwd: prefix });
  const outside = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'));
  env = { ...Object.fromEntries(outside), PATH: `${join(prefix, 'bin')}${delimiter}${process.env.PATH ?? ''}` };
}, 120_000);
afterAll(() => rmSync(prefix, { recursive: true, force: true }));

test('the README installs it like that', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(
    '\nnpm pack\nnpm install -g ./mcp-gateway-0.1.0.tgz\n',
  );
});

test('it runs by its name, and hints call it by that name', async () => {
  const { stdout } = await run('mcp-gateway', ['--version'], { cwd: folder, env });
  const missed = await run('mcp-gateway', ['tool', 'list'], { cwd: folder, env }).catch(
    (error: unknown) => error as { code: number; stderr: string },
  );

  expect(stdout).toBe('0.1.0\n');
  expect(missed).toMatchObject({ code: 2 });
  expect(missed.stderr).toContain('Did you mean `mcp-gateway tools list`?');
});

test('it serves, and a client calls a tool through it', async () => {
  const config = join(folder, 'mcp-gateway.json');
  writeFileSync(config, JSON.stringify({ mcpServers: { echo: fixture('echo-stdio.ts') } }));
  const gateway = spawn('mcp-gateway', ['serve', '--port', '0'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(gateway, 'exit');
  const [url] = (await once(createInterface(gateway.stdout), 'line')) as [string];
  const client = new Client({ name: 'installed', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));

  const answer = await client.callTool({ name: 'echo__echo', arguments: { text: 'from elsewhere' } });

  await client.close();
  gateway.kill('SIGTERM');
  expect(answer.content).toEqual([{ type: 'text', text: 'from elsewhere' }]);
  expect(await ended).toEqual([143, null]);
});
