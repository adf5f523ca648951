// What patterns deny: the operator is told by which and where, callers that there is no such thing, also where its server is away.
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, startGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { ask, callText, modern, said, startScripted, tool, toolNames } from './harness/scripted.ts';
import { statusOf, until } from './harness/status.ts';

/** An entry as a file, so that it is known where its patterns stand. */
function entryText(patterns: string): string {
  return `${JSON.stringify(fixture('echo-stdio.ts')).slice(0, -1)},\n  "tools": ${patterns}\n}\n`;
}

/** The URL of a server at which nothing listens. */
async function nowhere(): Promise<string> {
  const server = await startScripted(
    modern(
      () => [],
      () => undefined,
    ),
  );
  await server.stop();
  return server.url;
}

test('the operator is told that a denied tool is denied, by which pattern of which file', async () => {
  const gateway = await openTried({
    files: { 'servers.d/s.json': entryText('{ "deny": ["delete_*", "slo*"] }') },
  });
  const place = `${join(gateway.directory, 'servers.d/s.json')}:2:35`;

  const called = await gateway.cli('tools', 'call', 's__slow');
  const near = await gateway.cli('tools', 'call', 's__ech');
  const caller = await callText(gateway.url, 's__slow');
  const record = await gateway.cli('audit', 'query', '--tool', 'slow', '--limit', '1', '--json');
  const table = await gateway.cli('audit', 'query', '--tool', 'slow', '--limit', '1');
  const server = await gateway.cli('servers', 's');

  expect(caller).toBe('-32602 Unknown tool: s__slow');
  expect(called.status).toBe(6);
  expect(called.stderr).toContain('"s__slow"');
  expect(called.stderr).toContain(`is denied by mcpServers.s.tools.deny: the pattern "slo*" denies it (${place})`);
  expect(called.stderr).not.toMatch(/did you mean/i);
  expect(near).toMatchObject({
    status: 9,
    stderr: expect.stringMatching(/Unknown tool: s__ech.*did you mean/i) as string,
  });
  expect(JSON.parse(record.stdout)).toMatchObject({
    status: 'refused',
    decision: { allowed: false, rule: 'mcpServers.s.tools.deny', source: place },
  });
  expect(table.stdout).toContain(`the pattern "slo*" denies it (${place})`);
  expect(server.stdout).toContain(`tool slow: mcpServers.s.tools.deny: the pattern "slo*" denies it (${place})`);
  expect(gateway.log()).toContain(`the pattern \\"slo*\\" denies it (${place})`);
});

test('a deny pattern that matches nothing is warned of once it is known what the server offers', async () => {
  const gateway = await openTried({
    files: { 'servers.d/s.json': entryText('{ "deny": ["delete_*", "slo*"] }') },
  });

  const { warnings } = await statusOf(gateway, 's');

  const place = `${join(gateway.directory, 'servers.d/s.json')}:2:23`;
  expect(warnings).toEqual([`tools.deny pattern "delete_*" matches no tool of this server (${place})`]);
});

test('a tool of a server that never answered is unavailable with the reason, a denied one is unknown', async () => {
  const url = await nowhere();
  const gateway = await openTried({
    config: {
      mcpServers: {
        dead: { url, tools: { deny: ['secret*'] } },
        shut: { url, tools: { allow: [] } },
        off: { url, disabled: true },
        broken: { command: 'x', env: { TOKEN: '${env:NOT_SET_ANYWHERE}' } },
      },
    },
  });
  const unavailable = /^-33010 The server "dead" is not available: .*ECONNREFUSED.* It is tried again in \d+ s\.$/;
  const own = `${gateway.origin}/mcp/s/dead`;
  const waiting = (call: () => Promise<string>) =>
    until(call, (text) => !text.includes('-33010') || text.includes('tried again'));

  expect(await waiting(() => callText(gateway.url, 'dead__x'))).toMatch(unavailable);
  expect(await waiting(() => callText(own, 'x'))).toMatch(unavailable);
  expect((await ask(gateway.url, 'prompts/get', { name: 'dead__p' })).error?.message).toContain('is not available');
  expect(await callText(gateway.url, 'dead__secret_x')).toBe('-32602 Unknown tool: dead__secret_x');
  expect(await callText(own, 'secret_x')).toBe('-32602 Unknown tool: secret_x');
  expect(await callText(gateway.url, 'dead__')).toBe('-32602 Unknown tool: dead__');
  expect(await callText(gateway.url, 'shut__x')).toBe('-32602 Unknown tool: shut__x');
  expect(await callText(gateway.url, 'off__x')).toBe('-32602 Unknown tool: off__x');
  expect(await callText(gateway.url, 'elsewhere__x')).toBe('-32602 Unknown tool: elsewhere__x');
  const broken = await callText(gateway.url, 'broken__x');
  expect(broken).toMatch(/^-33010 The server "broken" is not available: its entry in the configuration cannot be used/);
  expect(broken).not.toContain('NOT_SET_ANYWHERE');

  expect((await gateway.cli('tools', 'call', 'dead__x')).status).toBe(4);
  expect(await gateway.cli('tools', 'call', 'dead__secret_x')).toMatchObject({
    status: 6,
    stderr: expect.stringContaining('the pattern "secret*" denies it') as string,
  });
  const record = await gateway.cli('audit', 'query', '--tool', 'dead__x', '--limit', '1', '--json');
  expect(JSON.parse(record.stdout)).toMatchObject({
    status: 'unreachable',
    server: 'dead',
    decision: { allowed: true },
  });
});

test('a denied tool of a server that has gone away is unknown, an allowed one is unavailable', async () => {
  const server = await startScripted(
    modern(
      () => [tool('echo'), tool('secret')],
      (visit) => (visit.rpc === 'tools/call' ? said('here') : undefined),
    ),
  );
  const space = workspace({ mcpServers: { s: { url: server.url, tools: { deny: ['secret'] } } } });
  onTestFinished(() => space.remove());
  const first = await startGateway({ space });
  await until(
    () => toolNames(first.url),
    (names) => names.length === 1,
  );
  await first.stop();
  await server.stop();
  const gateway = await kept(startGateway({ space }));

  expect(await callText(gateway.url, 's__secret')).toBe('-32602 Unknown tool: s__secret');
  expect(await callText(gateway.url, 's__echo')).toContain('-33010 The server "s" is not available');
  expect((await gateway.cli('tools', 'call', 's__secret')).status).toBe(6);
});
