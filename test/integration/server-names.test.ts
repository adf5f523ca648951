// Servers of any name: their prefix, their own URL percent-encoded, and the command line.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENTS, connectClient } from './harness/clients.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { modern, send } from './harness/raw.ts';

const NAMES = ['Framelink MCP for Figma', '@scope/server', 'ファイル 🎈', '100% a?b#c', 'v1.2'] as const;

let gateway: RunningGateway;
beforeAll(async () => {
  const echo = fixture('echo-stdio.ts');
  gateway = await openGateway({ config: { mcpServers: Object.fromEntries(NAMES.map((name) => [name, echo])) } });
  await gateway.attempted();
}, 60_000);
afterAll(() => gateway.stop());

test('the prefix of a name has `_` for what clients do not take, and all names differ', async () => {
  const client = await connectClient('SDK v2 modern', { url: gateway.url });
  const { tools } = await client.listTools();
  await client.close();

  const names = tools.map(({ name }) => name);
  const echoes = names.filter((name) => name.endsWith('__echo'));
  expect(echoes).toEqual(
    expect.arrayContaining(['Framelink_MCP_for_Figma__echo', '_scope_server__echo', 'v1_2__echo']),
  );
  expect(echoes).toHaveLength(NAMES.length);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^[A-Za-z0-9_-]{1,54}$/.test(name))).toEqual([]);
});

describe.each(NAMES)('"%s"', (name) => {
  const path = `/mcp/s/${encodeURIComponent(name)}`;

  test.each(CLIENTS)('answers %s at its own URL', async (kind) => {
    const client = await connectClient(kind, { url: `${gateway.origin}${path}` });
    const echoed = await client.callTool({ name: 'echo', arguments: { text: 'hi' } });
    await client.close();

    expect(echoed).toMatchObject({ content: [{ text: 'hi' }] });
  });

  test('answers over HTTP+SSE, whose messages go where its stream says', async () => {
    const client = await connectClient('SDK v1', { url: `${gateway.origin}${path}/sse` });
    const echoed = await client.callTool({ name: 'echo', arguments: { text: 'hi' } });
    await client.close();

    expect(echoed).toMatchObject({ content: [{ text: 'hi' }] });
  });

  test('is shown by the command line', async () => {
    const { status, stdout } = await gateway.cli('servers', name, '--json');

    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name, state: 'ready' });
  });
});

test.each([
  '%',
  '%zz',
  '%c3%28',
  '%ed%a0%80',
  '%00',
  '%0d%0aX-Injected:%201',
  '..%2f..%2fmcp',
  '%2e%2e',
  'a'.repeat(5_000),
  '%61'.repeat(4_000),
  '__proto__',
  'Framelink+MCP+for+Figma',
])('/mcp/s/%s names no server, and is 404', async (segment) => {
  const answer = await send(gateway.origin, { ...modern('tools/list'), path: `/mcp/s/${segment}` });

  expect(answer.status).toBe(404);
  expect(answer.headers['x-injected']).toBeUndefined();
});
