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
  await gateway.stop();

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(100_000);
}, 900_000);
