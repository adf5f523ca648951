// The same as in integration, for as long as it takes to believe it.
import { expect, test } from 'vitest';
import { runCollidingClients } from '../integration/harness/colliding-clients.ts';
import { fixture, startGateway } from '../integration/harness/gateway.ts';

test('200 clients with colliding ids get no foreign answer in 100,000 calls through one shared server', async () => {
  const gateway = await startGateway({
    config: { mcpServers: { echo: fixture('echo-stdio.ts') } },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();

  const findings = await runCollidingClients(gateway.origin, { clients: 200, calls: 500 });
  const servers = JSON.parse((await gateway.cli('servers', 'echo', '--json')).stdout) as { restarts: number };
  await gateway.stop();

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(100_000);
  expect(findings.progress).toBe(200 * 25 * 2);
  expect(findings.cancelled).toBe(100 * 10);
  expect(servers.restarts).toBe(0);
}, 900_000);
