// How long senders who stall are borne with.
import { expect, test } from 'vitest';
import { fixture, startGateway } from '../integration/harness/gateway.ts';
import { stallEverywhere } from '../integration/harness/stalls.ts';

test('they lose their connection: headers within 7 s, bodies within 15 s', async () => {
  const gateway = await startGateway({
    config: { limits: { body: '64KiB' }, mcpServers: { echo: fixture('echo-stdio.ts') } },
  });
  await gateway.attempted();
  const { headers, bodies } = stallEverywhere(gateway.origin);

  expect(Math.max(...(await headers))).toBeLessThan(7);
  expect(Math.max(...(await bodies))).toBeLessThan(15);
  await gateway.stop();
});
