// What servers are given of the gateway's own files: nothing, by the shipped configuration and by arguments.
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, ROOT, runCli, workspace } from './harness/gateway.ts';
import { openTried } from './harness/kept.ts';
import { toolNames } from './harness/scripted.ts';
import { statusUntil } from './harness/status.ts';

const CONFIG = join(ROOT, 'mcp-gateway.json');
const echo = fixture('echo-stdio.ts');

test('the shipped files server reads its own folder, and reaches neither servers.d nor the state', async () => {
  const home = workspace({});
  onTestFinished(() => home.remove());
  const gateway = await openTried({ space: { ...home, config: CONFIG }, env: { HOME: home.directory } });
  const call = (tool: string, args: object) =>
    gateway.cli('tools', 'call', `files__${tool}`, '--args', JSON.stringify(args));

  const own = await call('read_text_file', { path: join(ROOT, 'files/README.txt') });
  const planted = await call('write_file', { path: join(ROOT, 'servers.d/zz.json'), content: '{}' });
  const keys = await call('read_text_file', { path: join(home.state, 'keys.json') });

  expect([own.status, own.stdout]).toEqual([0, expect.stringContaining('servers.d/files.json')]);
  for (const refused of [planted, keys]) {
    expect(refused.status).not.toBe(0);
    expect(refused.stdout + refused.stderr).toContain('outside allowed directories');
  }
}, 60_000);

test('a server that is given the state by an edit is out alone, with the reason, until its entry allows it', async () => {
  const gateway = await openTried({ config: { mcpServers: { stays: echo, greedy: { ...echo, disabled: true } } } });
  const greedy = { ...echo, args: [...echo.args, gateway.state] };

  gateway.write('mcp-gateway.json', { mcpServers: { stays: echo, greedy } });
  const { lastError } = await statusUntil(gateway, 'greedy', ({ state }) => state === 'invalid');
  const during = await toolNames(gateway.url);
  gateway.write('mcp-gateway.json', { mcpServers: { stays: echo, greedy: { ...greedy, allowGatewayFiles: true } } });
  await statusUntil(gateway, 'greedy', ({ state }) => state === 'ready');

  expect(lastError).toMatch(
    /mcp-gateway\.json:\d+:\d+ the directory that this argument names holds the gateway's state/,
  );
  expect(lastError).toContain('"allowGatewayFiles": true');
  expect([...new Set(during.map((name) => name.split('__')[0]))]).toEqual(['stays']);
}, 60_000);

test.each(['--state', 'MCP_GATEWAY_STATE'])('config validate knows the state directory by %s', async (way) => {
  const space = workspace({});
  onTestFinished(() => space.remove());
  const state = join(space.directory, 'elsewhere');
  space.write('mcp-gateway.json', { mcpServers: { greedy: { ...echo, args: [...echo.args, state] } } });
  const validate = (...args: string[]) => ['config', 'validate', '--config', space.config, ...args];

  const without = await runCli(validate());
  const told =
    way === '--state' ? await runCli(validate(way, state)) : await runCli(validate(), { env: { [way]: state } });

  expect(without.status).toBe(0);
  expect(told.status).toBe(10);
  expect(told.stderr).toContain(`holds the gateway's state, ${state}`);
});
