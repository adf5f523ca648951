// What a new user meets: the shipped configuration, a client that starts the gateway from anywhere, and mistakes in the first calls.
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attempted, BIN, fixture, ROOT, runCli, openGateway } from './harness/gateway.ts';
import { insideOf, runInside } from './harness/inside.ts';
import { until } from './harness/status.ts';

const CONFIG = join(ROOT, 'mcp-gateway.json');
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'gateway-home-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** The configuration of the shipped memory server alone: to begin the others, only to end them, says nothing. */
function memoryAlone(): string {
  cpSync(join(ROOT, 'servers.d/memory.json'), join(home, 'servers.d/memory.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
  const file = join(home, 'mcp-gateway.json');
  writeFileSync(file, '{}');
  return file;
}

test('a client starts the gateway from another folder, as the README says: every shipped server works, and the memory one remembers', async () => {
  const state = join(home, 'state');
  const place = ['--config', CONFIG, '--state', state];
  const cli = (...words: string[]) => runInside([...words, ...place]);
  const entities = { entities: [{ name: 'a', entityType: 'b', observations: [] }] };
  const words = ['tools', 'call', 'memory__create_entities', '--args', JSON.stringify(entities)];
  const write = await runCli([...words, '--config', memoryAlone(), '--state', state], { env: { HOME: home } });
  const { NODE_COMPILE_CACHE: cache } = process.env;
  const client = new Client({ name: 'elsewhere', version: '1' });
  await client.connect(
    new StdioClientTransport({
      command: join(ROOT, 'node_modules/.bin/node'),
      args: [BIN, 'stdio', ...place],
      cwd: '/',
      env: { HOME: home, PATH: process.env.PATH ?? '', ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }) },
    }),
  );
  await attempted({ state });

  const names = (await client.listTools()).tools.map(({ name }) => name);
  const read = await cli('tools', 'call', 'memory__read_graph');
  const servers = await cli('servers', '--json');
  await client.close();

  expect(write.stderr).toContain('no gateway runs on this state');
  expect(write.status).toBe(0);
  expect(read.stdout).toContain('"entityType": "b"');
  const states = (JSON.parse(servers.stdout) as { name: string; state: string }[]).map(({ name, state }) => [
    name,
    state,
  ]);
  expect(states).toEqual(['everything', 'files', 'memory', 'thinking'].map((name) => [name, 'ready']));
  expect(names).toContain('thinking__sequentialthinking');
}, 60_000);

test('arguments that are no object are refused before any server sees them', async () => {
  const gateway = await openGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts') } } });
  await gateway.attempted();
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };

  const answers = await Promise.all(
    [[], 'text', 1].map(async (args) => {
      const response = await fetch(gateway.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': 'echo__echo',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'echo__echo', arguments: args, _meta: meta },
        }),
      });
      return (await response.json()) as { error: { code: number; message: string } };
    }),
  );
  await gateway.stop();

  expect(answers.map(({ error }) => [error.code, error.message])).toEqual(
    Array.from({ length: 3 }, () => [-32602, '`params.arguments` must be an object.']),
  );
});

test('an edit that cannot be used is told by `servers`, and what is offered is counted as callers see it', async () => {
  const server = { ...fixture('echo-stdio.ts'), tools: ['echo'] };
  const gateway = await openGateway({ config: { mcpServers: { echo: server } } });
  await gateway.attempted();
  const before = await insideOf(gateway)('servers', '--json');
  writeFileSync(gateway.config, '{bad');

  await until(
    async () => (await (await fetch(`${gateway.origin}/readyz`)).json()) as object,
    (health) => 'reloadError' in health,
  );
  const { stderr } = await insideOf(gateway)('servers');
  await gateway.stop();

  expect(stderr).toContain('is not in force');
  expect(JSON.parse(before.stdout)).toMatchObject([{ name: 'echo', tools: 1 }]);
});
