// Clients that send requests and do not read: the gateway bounds what waits for them, and cuts them off.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Bounds, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { createFront } from '../../../src/downstream/http.ts';
import { type EndpointLimits, endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { type CallHandler, said, stubGateway } from '../front.ts';

const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: {
    name: 'x',
    arguments: {},
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      progressToken: 1,
    },
  },
});
const HEAD = [
  'POST /mcp HTTP/1.1',
  'host: 127.0.0.1',
  'content-type: application/json',
  'accept: application/json, text/event-stream',
  'mcp-protocol-version: 2026-07-28',
  'mcp-method: tools/call',
  'mcp-name: x',
  `content-length: ${BODY.length}`,
].join('\r\n');

function limitsWith(replaced: Partial<Bounds>): EndpointLimits {
  return endpointLimits(boundsWith({ stalledReaderTime: 400, streamHeartbeat: 100, ...replaced }));
}

/** Sends a request, and reads nothing. Resolves with the server's end of the connection. */
async function askAndStall(call: CallHandler, limits = limitsWith({})): Promise<Socket> {
  const front = createFront({ gateway: stubGateway(call), network: { loopback: true }, limits });
  const server = createServer(front.listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.on('error', () => undefined);
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  client.write(`${HEAD}\r\n\r\n${BODY}`);
  return socket;
}

test('one that takes nothing of a large answer is cut off', async () => {
  const socket = await askAndStall(() => Promise.resolve(said('x'.repeat(12 << 20))));

  await once(socket, 'close');

  expect(socket.destroyed).toBe(true);
});

test('of many that take nothing of large answers the first are cut off before what waits is too much in all', async () => {
  const limits = limitsWith({ stalledReaderTime: 60_000, writeMemory: 32 << 20 });
  const answer = () => Promise.resolve(said('x'.repeat(20 << 20))); // sockets hold some of it
  const first = await askAndStall(answer, limits);
  const cut = once(first, 'close');
  const second = await askAndStall(answer, limits);
  await cut;

  expect(second.destroyed).toBe(false);
});

test('one that takes nothing of a stream is cut off, although signs of life are due, and its call is cancelled', async () => {
  const cancelled = Promise.withResolvers<void>();
  const socket = await askAndStall(async ({ exchange }) => {
    exchange.signal.onAbort(() => cancelled.resolve());
    exchange.progress({ progress: 1, message: 'x'.repeat(12 << 20) });
    await cancelled.promise;
    return said('too late');
  });

  await once(socket, 'close');
  await cancelled.promise;
});

test('one that takes nothing of a storm is cut off as soon as too much waits for it', async () => {
  let taken = 0;
  const cancelled = Promise.withResolvers<void>();
  const limits = limitsWith({ stalledReaderTime: 60_000, slowReaderTime: 10 });
  const socket = await askAndStall(async ({ exchange }) => {
    exchange.signal.onAbort(() => cancelled.resolve());
    while (!exchange.signal.aborted && taken < 200) {
      exchange.progress({ progress: ++taken, message: 'x'.repeat(1 << 20) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await cancelled.promise;
    return said('too late');
  }, limits);

  if (!socket.destroyed) await once(socket, 'close');
  await cancelled.promise;
  expect(taken).toBeGreaterThan(15);
  expect(taken).toBeLessThan(40);
});
