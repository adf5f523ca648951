// For how long a call that does not end holds a stopping gateway up.
import { expect, test } from 'vitest';
import { fixture, startGateway } from '../integration/harness/gateway.ts';
import { callTool } from '../integration/harness/modern-call.ts';
import { statusUntil } from '../integration/harness/status.ts';

test('10 s at most, and a moment to close', async () => {
  const gateway = await startGateway({ config: { mcpServers: { echo: fixture('echo-stdio.ts') } } });
  await gateway.attempted();
  const cut = callTool(gateway.url, 'echo__slow', { args: { ms: 60_000 } }).catch(() => undefined);
  await statusUntil(gateway, 'echo', ({ inFlight }) => inFlight === 1);
  const began = performance.now();

  expect(await gateway.stop()).toBe(143);
  expect(performance.now() - began).toBeLessThan(15_000);
  await cut;
});
