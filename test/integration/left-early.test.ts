// Clients that leave before the gateway has parsed their message: what they asked for ends.
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { Composition } from '../gateway/wiring/composition.ts';
import { modern, open } from './harness/raw.ts';

/** Sends the whole of a message that is parsed in slices, and leaves before it is. */
async function leave(origin: string, method: string, params: JsonObject): Promise<void> {
  const padding = Array.from({ length: 90_000 }, () => 'x'.repeat(20));
  const request = open(origin, modern(method, params, { meta: { padding } }));
  request.on('error', () => undefined); // the connection is closed below
  await once(request, 'finish');
  request.destroy();
}

test.each([
  ['a listener', 'subscriptions/listen', { notifications: { toolsListChanged: true } }],
  ['a call, which reaches no server', 'tools/call', { name: 's__hold' }],
])('a modern client that leaves while its message is parsed cancels %s', async (_what, method, params) => {
  const gateway = await Composition.start({ servers: { s: { tools: ['hold'] } } });

  await leave(gateway.origin, method, params);

  expect(await gateway.toldOf('call')).toMatchObject([{ method, status: 'cancelled' }]);
  expect(gateway.fake().calls).toEqual([]);
});
