// Clients that share a server never see each other's traffic, whatever ids and progress tokens they use.
import { expect, test } from 'vitest';
import { runCollidingClients } from './harness/colliding-clients.ts';
import { fixture, openGateway } from './harness/gateway.ts';

test('40 clients with colliding ids get no foreign answer in 2,000 calls through one shared server', async () => {
  const gateway = await openGateway({
    config: { mcpServers: { echo: fixture('echo-stdio.ts') } },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();

  const findings = await runCollidingClients(gateway.origin, { clients: 40, calls: 50 });
  const servers = JSON.parse((await gateway.cli('servers', 'echo', '--json')).stdout) as { restarts: number };
  await gateway.stop();

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(2_000);
  expect(findings.progress).toBe(40 * 2 * 2);
  expect(findings.cancelled).toBe(20);
  expect(servers.restarts).toBe(0);
});
