// Clients that leave before the gateway has admitted them or parsed their message: nothing of what they asked for stays.
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { createFront } from '../../src/downstream/http.ts';
import { listen } from '../../src/downstream/http-servers.ts';
import { endpointLimits } from '../../src/downstream/mcp/limits.ts';
import type { Peers } from '../../src/downstream/peers.ts';
import { Composition } from '../gateway/wiring/composition.ts';
import { modern, open, openSession } from './harness/raw.ts';

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

test('a client that leaves before it is admitted keeps no session', async () => {
  const gateway = await Composition.start({ config: { limits: { sessions: 1 } } });
  const admission = Promise.withResolvers<undefined>();
  const admissions = [admission.promise];
  const peers: Pick<Peers, 'admit'> = { admit: () => admissions.shift() };
  const network = { loopback: true, peers: peers as Peers };
  const front = createFront({ gateway: gateway.gateway, limits: endpointLimits(), network });
  const left = Promise.withResolvers<void>();
  const { url, stop, finish } = await listen(
    (request, response) => {
      response.once('close', () => left.resolve());
      front.listener(request, response);
    },
    { host: '127.0.0.1', port: 0 },
  );
  onTestFinished(async () => {
    stop();
    await front.close();
    await finish();
  });

  const request = open(url, { method: 'GET', path: '/sse', headers: { Accept: 'text/event-stream' } });
  request.on('error', () => undefined); // the connection is closed below
  while (admissions.length > 0) await turn();
  request.destroy();
  await left.promise;
  admission.resolve(undefined);
  await turn();

  await expect(openSession(url)).resolves.toBeDefined();
});
