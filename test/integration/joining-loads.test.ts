// What is loaded to join a gateway that runs, or to run one: each client starts a `stdio` of its own, and each script a command a line.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BIN, type RunningGateway, startGateway } from './harness/gateway.ts';

/** Writes the names of the packages that a process has loaded to the file that LOADED names; the undici inside Node is `node:undici`. */
const LIST_PACKAGES = `
  import { writeFileSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const seen = new Set();
  const note = (url) => seen.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]);
  registerHooks({ load: (url, context, next) => (note(url), next(url, context)) });
  const inside = () => (process.moduleLoadList.includes('NativeModule internal/deps/undici/undici') ? ['node:undici'] : []);
  process.on('exit', () => writeFileSync(process.env.LOADED, [...seen, ...inside()].filter(Boolean).join()));
`;

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway({});
  gateway.write('list-packages.mjs', LIST_PACKAGES);
});
afterAll(() => gateway.stop());

/** Runs a command of the gateway that finds nothing on its stdin. */
function packagesOf(command: string, state = gateway.state): string {
  return loadedBy([BIN, ...command.split(' '), '--config', gateway.config, '--state', state]);
}

function loadedBy(args: readonly string[]): string {
  const loaded = join(gateway.directory, 'loaded');
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const { status, stderr } = spawnSync(process.execPath, args, {
    input: '',
    encoding: 'utf8',
    env: { ...env, NODE_OPTIONS: `--import ${join(gateway.directory, 'list-packages.mjs')}`, LOADED: loaded },
  });
  expect([status, stderr]).toEqual([0, '']);
  return readFileSync(loaded, 'utf8');
}

test.each(['stdio', 'servers', 'tools list', 'tools list --json'])(
  '%s joins without loading a package: neither the schema of the configuration nor a client of servers',
  (command) => {
    expect(packagesOf(command)).toBe('');
  },
);

test('a gateway without a server at a URL loads no HTTP client, neither its own nor the one inside Node', () => {
  const packages = packagesOf('stdio', join(gateway.directory, 'another'));
  expect(packages).toContain('pino');
  expect(packages).not.toContain('undici');
});

test('what loads packages is seen to do so', () => {
  expect(packagesOf('config validate')).toContain('zod');
});

test('an import of node:http loads the undici inside Node, so src/core/node-http.ts is still needed', () => {
  expect(loadedBy(['--input-type=module', '--eval', "import 'node:http'"])).toBe('node:undici');
});
