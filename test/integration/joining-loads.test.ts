// What is loaded to join a gateway that runs: each client starts a `stdio` of its own, and each script a command a line.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BIN, type RunningGateway, startGateway } from './harness/gateway.ts';

/** Writes the names of the packages that a process has loaded to the file that LOADED names. */
const LIST_PACKAGES = `
  import { writeFileSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const seen = new Set();
  const note = (url) => seen.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]);
  registerHooks({ load: (url, context, next) => (note(url), next(url, context)) });
  process.on('exit', () => writeFileSync(process.env.LOADED, [...seen].filter(Boolean).join()));
`;

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway({});
  gateway.write('list-packages.mjs', LIST_PACKAGES);
});
afterAll(() => gateway.stop());

/** Runs a command that finds nothing on its stdin. */
function packagesOf(args: readonly string[]): string {
  const loaded = join(gateway.directory, 'loaded');
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const places = ['--config', gateway.config, '--state', gateway.state];
  const { status, stderr } = spawnSync(process.execPath, [BIN, ...args, ...places], {
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
    expect(packagesOf(command.split(' '))).toBe('');
  },
);

test('what loads packages is seen to do so', () => {
  expect(packagesOf(['config', 'validate'])).toContain('zod');
});
