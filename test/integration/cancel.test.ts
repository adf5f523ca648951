// A call that is cancelled is cancelled at its server before anything that its client wants next is answered, on every pair of transports; a
// legacy client that is cut off has cancelled nothing, and picks its result up (wire.md, Cancellation and disconnects).
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { setMark, takeMark } from '../../fixtures/servers/marks.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { CANCELLING_CLIENTS, type CancellingClient } from './harness/cancelling-clients.ts';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { openSession, resultOf, send, stream } from './harness/raw.ts';
import { legacy, startScripted, tool } from './harness/scripted.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { size } from '../size.ts';

/** How often each pair is tried: what happens by luck does not happen every time. */
const TIMES = size(2, 50);

const SERVERS = {
  'modern HTTP': 'modern-http',
  'modern stdio': 'modern-stdio',
  'legacy HTTP': 'legacy-http',
  'HTTP+SSE': 'sse',
  'legacy stdio': 'legacy-stdio',
} as const;

let gateway: RunningGateway;
let running: RunningServer[];

beforeAll(async () => {
  const named = (name: string) => ['--name', name, '--scheme', name];
  running = await Promise.all([
    startServer('sdk-server.ts', '--era', 'modern', ...named('modern-http')),
    startServer('sdk-v1-server.ts', ...named('legacy-http')),
    startServer('sdk-v1-server.ts', '--transport', 'sse', ...named('sse')),
  ]);
  const [modernHttp, legacyHttp, sse] = running.map(({ url }) => url);
  gateway = await openGateway({
    config: {
      mcpServers: {
        'modern-http': { url: modernHttp },
        'modern-stdio': fixture('sdk-server.ts', '--era', 'modern', '--transport', 'stdio', ...named('modern-stdio')),
        'legacy-http': { url: legacyHttp },
        sse: { type: 'sse', url: sse },
        'legacy-stdio': fixture('sdk-v1-server.ts', '--transport', 'stdio', ...named('legacy-stdio')),
      },
    },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all(running.map((server) => server.stop()));
});

/**
 * What is called next: what a server answers at once, or, where only a closed connection says it, at the end of a turn of its loop, since
 * Node tells of that no sooner.
 */
const sentinelOf = (name: string, text: string): [string, JsonObject] =>
  name === 'modern-http' ? [`${name}__slow`, { ms: 1, steps: 1 }] : [`${name}__echo`, { text }];

const echoed = (text: string) => ({ content: [{ type: 'text', text }] });

describe.each(Object.entries(CANCELLING_CLIENTS))('A client over %s', (_client, connect) => {
  let client: CancellingClient;
  beforeAll(async () => (client = await connect(gateway)));
  afterAll(() => client.close());

  test.each(Object.entries(SERVERS))(
    'cancels at a server over %s before its next call is answered',
    async (_server, name) => {
      for (let time = 0; time < TIMES; time++) {
        const label = randomUUID();
        await client.begin(`${name}__wait_for_cancel`, { label });
        expect(takeMark(label)).toBe(false);
        await client.cancel();
        const sentinel = await client.call(...sentinelOf(name, label));

        expect(takeMark(label), `time ${time + 1}`).toBe(true);
        expect(sentinel).toHaveProperty('content');
      }
    },
  );
});

describe('A legacy client over HTTP that is cut off in a call', () => {
  test.each(Object.entries(SERVERS))(
    'at a server over %s has not cancelled it, and picks up the result',
    async (_server, name) => {
      const session = await openSession(gateway.origin);
      const label = randomUUID();
      const call = { name: `${name}__was_cancelled`, arguments: { label } }; // it ends when somebody sets the mark
      const lost = await stream(gateway.origin, session.request('tools/call', call, { id: 'lost' }));
      const last = await lost.firstId;
      lost.close();
      await lost.ended;
      const next = { name: `${name}__echo`, arguments: { text: label } };
      expect(resultOf(await send(gateway.origin, session.request('tools/call', next)))).toMatchObject(echoed(label));
      setMark(label);
      const back = await stream(gateway.origin, session.get({ 'Last-Event-ID': last }));

      expect(await back.inbox.find({ id: 'lost' })).toMatchObject({ result: echoed('cancelled') });
      await send(gateway.origin, session.delete());
    },
  );
});

test('What is called after a cancellation waits until a legacy server has taken that, since requests overtake each other', async () => {
  const order: string[] = [];
  const taken = Promise.withResolvers<undefined>();
  const script = legacy(
    () => [tool('waits'), tool('next')],
    new Set(),
    ({ rpc, params, response }) => {
      if (rpc === 'notifications/cancelled') {
        response.writeHead(202).flushHeaders();
        void taken.promise.then(() => {
          order.push('cancelled');
          response.end();
        });
      }
      if (rpc === 'tools/call' && params.name === 'next') {
        order.push('next');
        return { content: [] };
      }
      return undefined;
    },
  );
  const server = await startScripted(script);
  const own = await openGateway({ config: { mcpServers: { s: { url: server.url } } }, args: ['--log-level', 'warn'] });
  onTestFinished(async () => {
    await own.stop();
    await server.stop();
  });
  await own.attempted();
  const session = await openSession(own.origin);
  const waiting = send(own.origin, session.request('tools/call', { name: 's__waits', arguments: {} }, { id: 'w' }));
  await server.visited(({ params }) => params.name === 'waits');
  await send(own.origin, session.notification('notifications/cancelled', { requestId: 'w' }));
  await server.visited(({ rpc }) => rpc === 'notifications/cancelled');
  const next = send(own.origin, session.request('tools/call', { name: 's__next', arguments: {} }, { id: 'n' }));
  await send(own.origin, session.request('tools/list')); // the gateway has seen the call before this
  taken.resolve(undefined);

  expect(resultOf(await next)).toMatchObject({ content: [] });
  expect(order).toEqual(['cancelled', 'next']);
  await waiting;
});
