// How the gateway ends: in order on the first signal, at once on the second, and nothing outlives it. Each test has its own and mostly waits.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reasonOf } from '../../src/core/errors.ts';
import { untilMarked } from '../../fixtures/servers/marks.ts';
import { alive } from '../upstream/mcp/processes.ts';
import { connectClient } from './harness/clients.ts';
import { fixture, type GatewayProcess, startGateway, workspace } from './harness/gateway.ts';
import { callTool } from './harness/modern-call.ts';
import { startServer } from './harness/servers.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusOf, statusUntil } from './harness/status.ts';

const SLOW = 'echo__slow';

async function startSlow(): Promise<GatewayProcess> {
  const gateway = await startGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts') } } });
  await gateway.attempted();
  return gateway;
}

/** Resolves when so many calls have reached the server: each has a record of intent, and none of them an outcome. */
async function untilInFlight(gateway: GatewayProcess, count: number): Promise<void> {
  await statusUntil(gateway, 'echo', ({ inFlight }) => inFlight >= count);
}

test.concurrent.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('on %s every call in flight is answered, then the gateway exits with %i', async (signal, status) => {
  const gateway = await startSlow();
  const agent = new Agent({ keepAlive: true });
  const calls = Array.from({ length: 10 }, (_, id) =>
    callTool(gateway.url, SLOW, { id, agent, args: { ms: 1_500, label: 'last' } }),
  );
  await untilInFlight(gateway, 10);

  const exit = gateway.stop(signal);
  const answers = await Promise.all(calls);

  expect(answers.map((answer) => answer.result?.content[0]?.text)).toEqual(
    Array.from({ length: 10 }, () => 'slow last done after 1 steps'),
  );
  expect(await exit).toBe(status);
  agent.destroy();
});

test.concurrent('clients on stdio that joined the gateway get their last answers too', async () => {
  const gateway = await startSlow();
  const client = await connectClient('SDK v2 legacy', gateway);
  const call = client.callTool({ name: SLOW, arguments: { ms: 1_500, label: 'joined' } });
  await untilInFlight(gateway, 1);

  const exit = gateway.stop();

  expect((await call).content).toEqual([{ type: 'text', text: 'slow joined done after 1 steps' }]);
  expect(await exit).toBe(143);
  await client.close();
});

test.concurrent('a gateway that stops takes no new connections', async () => {
  const gateway = await startSlow();
  const running = callTool(gateway.url, SLOW, { args: { ms: 1_500, label: 'x' } });
  await untilInFlight(gateway, 1);
  const stopping = untilLogged(gateway, 'stopping');

  const exit = gateway.stop();
  await stopping;

  await expect(callTool(gateway.url, SLOW)).rejects.toThrow('ECONNREFUSED');
  await running;
  await exit;
});

test.concurrent(
  'a gateway that stops starts no server again, while the calls that run elsewhere end well',
  async () => {
    const space = workspace({});
    const starts = join(space.directory, 'starts');
    const dies = fixture('private-stdio.ts', '--starts', starts);
    space.write('mcp-gateway.json', { mcpServers: { echo: fixture('echo-stdio.ts'), dies } });
    const gateway = await startGateway({ space });
    await gateway.attempted();
    const { pid = 0 } = await statusOf(gateway, 'dies');
    const running = callTool(gateway.url, SLOW, { args: { ms: 3_000, label: 'last' } });
    await untilInFlight(gateway, 1);
    const stopping = untilLogged(gateway, 'stopping');
    const exit = gateway.stop();
    await stopping;
    process.kill(pid, 'SIGKILL');
    await untilLogged(gateway, 'server_ended');

    expect((await running).result?.content[0]?.text).toBe('slow last done after 1 steps');
    expect(await exit).toBe(143);
    expect(readFileSync(starts, 'utf8').trim().split('\n')).toHaveLength(1);
    space.remove();
  },
);

test.concurrent('a second signal ends the gateway at once, and its servers with it', async ({ expect }) => {
  const gateway = await startSlow();
  const { result } = await callTool(gateway.url, 'echo__pid');
  const lost = callTool(gateway.url, SLOW, { args: { ms: 60_000 } }).catch(reasonOf);
  await untilInFlight(gateway, 1);
  const server = await serverPid(gateway);
  const stopping = untilLogged(gateway, 'stopping');

  gateway.process.kill('SIGTERM');
  await stopping;
  const exit = gateway.stop('SIGTERM');

  expect(await exit).toBe(143);
  expect(await lost).toMatch(/hang up|ECONNRESET|aborted/);
  expect(result).toBeDefined();
  await expect.poll(() => alive([server]), { timeout: 10_000, interval: 20 }).toEqual([]);
});

test.concurrent(
  'a call that does not end holds the gateway up for 10 s at most, and is told so before its connection is closed',
  async () => {
    const gateway = await startSlow();
    const cut = callTool(gateway.url, SLOW, { args: { ms: 60_000 } }).then(
      (answer) => answer.error?.data?.reason ?? 'answered',
      reasonOf,
    );
    await untilInFlight(gateway, 1);
    const server = await serverPid(gateway);

    const status = await gateway.stop(); // for how long: test/long/shutdown.test.ts

    expect(status).toBe(143);
    expect(await cut).toBe('gateway_closed');
    expect(alive([server])).toEqual([]);
  },
  40_000,
);

test.concurrent(
  'calls that do not end are cancelled at their servers before these are let go, over HTTP and over a pipe',
  async () => {
    const web = await startServer('sdk-v1-server.ts');
    const pipe = fixture('sdk-v1-server.ts', '--transport', 'stdio');
    const gateway = await startGateway({ config: { mcpServers: { web: { url: web.url }, pipe } } });
    await gateway.attempted();
    const client = await SessionClient.open(gateway.origin);
    const labels = ['web', 'pipe'].map((server) => `${server}-${randomUUID()}`);
    for (const label of labels)
      client.start(`${label.split('-')[0] ?? ''}__wait_for_cancel`, { label }).catch(() => undefined);
    for (const server of ['web', 'pipe']) await statusUntil(gateway, server, ({ inFlight }) => inFlight === 1);

    expect(await gateway.stop()).toBe(143);
    await Promise.all(labels.map(untilMarked));
    await web.stop();
  },
  40_000,
);

test.concurrent(
  'the end of the gateway leaves neither run.json nor a socket that answers, and the state can be used again',
  async () => {
    const gateway = await startSlow();
    const run = join(gateway.state, 'run.json');
    expect(JSON.parse(readFileSync(run, 'utf8'))).toMatchObject({ pid: gateway.process.pid, url: gateway.url });
    gateway.process.kill('SIGTERM');
    await once(gateway.process, 'exit');

    expect(existsSync(run)).toBe(false);
    expect((await gateway.cli('servers', '--json')).status).toBe(0);
    await gateway.stop();
  },
);

async function serverPid(gateway: GatewayProcess): Promise<number> {
  return (await statusOf(gateway, 'echo')).pid!;
}

async function untilLogged(gateway: GatewayProcess, words: string): Promise<void> {
  while (!gateway.log().includes(words)) await once(gateway.process.stderr!, 'data');
}
