// Whoever comes, goes, breaks off or restarts: the gateway holds no more processes, descriptors and listeners than before.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backTo, type Counts, countsOf, settledCounts } from './harness/counts.ts';
import { fixture, type GatewayProcess, startGateway } from './harness/gateway.ts';
import { modern, openSession, send, stream } from './harness/raw.ts';
import { RawConnection } from './harness/raw-connection.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { statusesOf, until } from './harness/status.ts';

let web: RunningServer;
let gateway: GatewayProcess;

const FRAGILE = Array.from({ length: 10 }, (_, index) => `fragile${index}`);

beforeAll(async () => {
  web = await startServer('sdk-server.ts');
  gateway = await startGateway({
    config: {
      mcpServers: {
        web: { url: web.url },
        pipe: fixture('echo-stdio.ts'),
        ...Object.fromEntries(FRAGILE.map((name) => [name, fixture('echo-stdio.ts')])),
      },
    },
  });
  await gateway.attempted();
}, 60_000);

afterAll(async () => {
  await gateway.stop();
  await web.stop();
});

const call = (name: string, args: object) => ({ name, arguments: { ...args } });

/** What clients do to a gateway; each ends without a trace. */
const VISITS: Readonly<Record<string, () => Promise<void>>> = {
  'a request on a connection of its own': async () => {
    await send(gateway.origin, modern('tools/call', call('pipe__echo', { text: 'x' })));
  },
  'a request that ends in the middle of its body': async () => {
    const connection = new RawConnection(new URL(gateway.origin));
    await connection.write(
      'POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 999\r\n\r\n{',
    );
    await connection.firstByte();
    connection.close();
  },
  'a session that is used and deleted': async () => {
    const session = await openSession(gateway.origin);
    await send(gateway.origin, session.request('tools/call', call('web__echo', { text: 'x' })));
    await send(gateway.origin, session.delete());
  },
  'a stream of a session that is dropped': async () => {
    const session = await openSession(gateway.origin);
    await send(gateway.origin, session.request('resources/subscribe', { uri: 'fixture://text' }));
    const dropped = await stream(gateway.origin, session.get());
    dropped.close();
    await dropped.ended;
    await send(gateway.origin, session.delete());
  },
  'an HTTP+SSE stream that is dropped': async () => {
    const dropped = new RawConnection(new URL(gateway.origin));
    await dropped.write('GET /sse HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n');
    expect((await dropped.head()).status).toBe(200);
    dropped.close();
  },
  'a subscription that is dropped': async () => {
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['fixture://text'] };
    const dropped = await stream(gateway.origin, modern('subscriptions/listen', { notifications }));
    await dropped.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
    dropped.close();
    await dropped.ended;
  },
  'a call by HTTP that is left': () => leave('web__slow'),
  'a call by pipe that is left': () => leave('pipe__slow'),
};

async function leave(tool: string): Promise<void> {
  const params = call(tool, { ms: 60_000, steps: 1 });
  const left = await stream(gateway.origin, modern('tools/call', params, { meta: { progressToken: 1 } }));
  await left.inbox.find({ method: 'notifications/progress' });
  left.close();
  await left.ended;
}

const BESIDE = 20;

/** Makes that many visits in all, of every kind in turn. */
async function visit(count: number): Promise<void> {
  const kinds = Object.values(VISITS);
  let next = 0;
  const one = async () => {
    while (next < count) await kinds[next++ % kinds.length]!();
  };
  await Promise.all(Array.from({ length: BESIDE }, one));
}

test('1,000 connects, aborts and dropped streams leave nothing behind, in the gateway or its server', async () => {
  await visit(100);
  const before = await settledCounts(gateway);
  const server = countsOf(web.process.pid!);
  await visit(1_000);

  const after = await backTo(gateway, before);
  expect(after.processes).toBe(before.processes);
  await until(
    async () => (await settledCounts(gateway), countsOf(web.process.pid!)),
    ({ descriptors }: Counts) => descriptors <= server.descriptors,
  );
  const inFlight = await until(
    async () => (await statusesOf(gateway)).map((status) => status.inFlight),
    (counts) => counts.every((count) => count === 0),
  );
  expect(inFlight).toHaveLength(FRAGILE.length + 2);
  expect(gateway.log()).not.toContain('MaxListenersExceededWarning');
}, 120_000);

/** Fifty, not a thousand: each is a process in a namespace of its own, and backoff makes those of one server wait longer each time. */
test('50 servers that crash and start again leave no process and no descriptor behind', async () => {
  const before = await settledCounts(gateway);
  for (let round = 1; round <= 5; round += 1) {
    await Promise.all(FRAGILE.map((name) => send(gateway.origin, modern('tools/call', call(`${name}__crash`, {})))));
    await until(
      async () => (await statusesOf(gateway)).filter(({ name }) => name.startsWith('fragile')),
      (servers) => servers.every(({ state, restarts }) => state === 'ready' && restarts >= round),
    );
  }

  const after = await backTo(gateway, before);
  expect(after.processes).toBe(before.processes);
  expect(gateway.log()).not.toContain('MaxListenersExceededWarning');
}, 120_000);
