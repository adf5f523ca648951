// Senders who stall hold nothing: they lose their connection, and others are served meanwhile.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { modern, open, resultOf, send } from './harness/raw.ts';
import { stallEverywhere } from './harness/stalls.ts';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await openGateway({
    config: { limits: { body: '64KiB' }, mcpServers: { echo: fixture('echo-stdio.ts') } },
  });
  await gateway.attempted();
});

afterAll(() => gateway.stop());

const JSON_TYPE = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

describe('Senders who stall', () => {
  test('lose their connection, however they go on; others are served meanwhile', async () => {
    const { headers, bodies } = stallEverywhere(gateway.origin);
    const served = await send(
      gateway.origin,
      modern('tools/call', { name: 'echo__echo', arguments: { text: 'served' } }),
    );

    expect(resultOf(served).content).toEqual([{ type: 'text', text: 'served' }]);
    expect(await headers).toHaveLength(120);
    expect(await bodies).toHaveLength(160); // within how long: test/long/stalled-senders.test.ts
  });

  test('who leave in the middle of a body leave nothing behind', async () => {
    const request = open(gateway.origin, { headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' } });
    request.on('error', () => undefined);
    request.destroy();

    expect((await send(gateway.origin, modern('tools/list'))).status).toBe(200);
    expect(gateway.log()).not.toContain('a request failed');
  });
});
