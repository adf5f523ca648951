// What the README tells people to type works, and what it shows is valid.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { runInside } from '../integration/harness/inside.ts';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}));
const lines = blocks.flatMap(({ language, text }) => (language === 'sh' ? text.trim().split('\n') : []));
const configurations = blocks
  .filter(({ language }) => language === 'json' || language === 'jsonc')
  .map(({ text }) => text);

/** The shipped configuration in a place of its own, with a free port. */
const place = mkdtempSync(join(tmpdir(), 'gateway-readme-'));
const env = {
  ...process.env,
  MCP_GATEWAY_CONFIG: join(place, 'mcp-gateway.json'),
};
let gateway: ChildProcess;
let url: string;

beforeAll(async () => {
  for (const folder of ['servers.d', 'files']) cpSync(join(ROOT, folder), join(place, folder), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(place, 'node_modules'));
  const config = readFileSync(join(ROOT, 'mcp-gateway.json'), 'utf8');
  writeFileSync(join(place, 'mcp-gateway.json'), config.replace('{', '{ "listen": { "port": 0 },'));
  // a group of its own: npm stands between us and the gateway
  gateway = spawn('npm', ['start'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  for await (const line of createInterface(gateway.stdout!)) {
    if (!line.startsWith('http')) continue;
    url = line;
    break;
  }
});

afterAll(async () => {
  const ended = once(gateway, 'close'); // npm ends before the gateway does, which still holds stdout then
  gateway.stdout!.resume();
  process.kill(-gateway.pid!, 'SIGTERM');
  await ended;
  rmSync(place, { recursive: true, force: true });
});

test('it says how to start, and the gateway says where it is', () => {
  expect(lines.slice(0, 2)).toEqual(['npm ci', 'npm start']);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
  expect(readme).toContain('http://127.0.0.1:7420/mcp');
});

test('`npm ci` warns of nothing on a machine whose own Node is older than what the clone brings', async () => {
  const older = join(place, 'older.cjs');
  writeFileSync(older, "Object.defineProperty(process, 'version', { value: 'v20.20.2' });");
  const { npm_config_loglevel: _, ...clean } = env as NodeJS.ProcessEnv;

  const { stdout, stderr } = await promisify(execFile)(
    'npm',
    ['ci', '--dry-run', '--ignore-scripts', '--prefer-offline'],
    { cwd: ROOT, env: { ...clean, NODE_OPTIONS: `--require=${older}` }, maxBuffer: 16 * 1024 * 1024 },
  );

  expect(stdout).toMatch(/\S/);
  expect(stderr).toBe('');
});

test('the first `npx mcp-gateway` in the clone runs what was built, without building or fetching anything', async () => {
  const built = statSync(join(ROOT, 'dist/cli/bin.js')).ino;

  const { stdout } = await promisify(execFile)('npx', ['mcp-gateway', '--version'], {
    cwd: ROOT,
    env: { ...env, npm_config_cache: join(place, 'npm-cache'), npm_config_offline: 'true' },
  });

  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(statSync(join(ROOT, 'dist/cli/bin.js')).ino).toBe(built);
});

test('every command that it shows works', async () => {
  const commands = lines.filter((line) => !line.startsWith('npm ')); // those are run by other tests
  expect(commands.length).toBeGreaterThan(3);
  for (const command of commands) {
    const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: ROOT, env });
    expect(stdout, command).toMatch(/\S/);
  }
}, 120_000);

test.each(configurations.map((text) => [text]))('the configuration is valid: %s', (text) => {
  const file = join(place, 'shown.json');
  writeFileSync(file, text);

  const loaded = loadConfig(file, { GITHUB_TOKEN: 'a-token' });

  const problems = loaded.ok ? loaded.warnings : loaded.problems;
  // servers.d of the place is loaded too, and only the block is judged
  expect(problems.filter((problem) => problem.file === file).map(formatProblem)).toEqual([]);
  expect(loaded.ok).toBe(true);
});

test('the tools that it denies are all that the filesystem server writes with', async () => {
  const shown = join(place, 'shown');
  cpSync(join(ROOT, 'files'), join(shown, 'files'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(shown, 'node_modules'));
  const denying = configurations.find((text) => text.includes('"deny"')) ?? '';
  vi.stubEnv('GITHUB_TOKEN', undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
  const listed = async (text: string) => {
    writeFileSync(join(shown, 'mcp-gateway.json'), text);
    const { stdout } = await runInside(['tools', 'list', '--json', '--config', join(shown, 'mcp-gateway.json')]);
    return JSON.parse(stdout) as { name: string; annotations?: { readOnlyHint?: boolean } }[];
  };

  const open = await listed(denying.replace('"deny"', '"ignored"'));
  const denied = await listed(denying);

  const writing = open.filter(({ annotations }) => annotations?.readOnlyHint !== true).map(({ name }) => name);
  expect(writing).toContain('files__edit_file');
  expect(denied.map(({ name }) => name)).toEqual(
    open.map(({ name }) => name).filter((name) => !writing.includes(name)),
  );
  expect(denied.map(({ name }) => name)).toContain('files__read_text_file');
}, 60_000);

test.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'AGENTS.md'])(
  'every file that %s links to is there',
  (name) => {
    const links = [...readFileSync(join(ROOT, name), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
      ([, link]) => link!,
    );

    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  },
);
