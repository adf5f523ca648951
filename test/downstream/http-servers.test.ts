// The bounds on idle connections, with real sockets and small bounds.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { exemptAddresses, IdleConnections } from '../../src/downstream/http-servers.ts';

const BOUNDS = boundsWith({ idleConnections: 6, idleConnectionsOfAddress: 3 });
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

interface Place {
  /** Opens a connection from a loopback address, and waits until the server has it. */
  open(from?: string): Promise<Socket>;
  /** Answers of requests that are in flight. */
  readonly held: ServerResponse[];
}

async function place(isExempt: (address: string) => boolean): Promise<Place> {
  const held: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    held.push(response);
  });
  new IdleConnections(isExempt, BOUNDS).follow(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    held,
    open: async (localAddress = '127.0.0.1') => {
      const accepted = once(server, 'connection');
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined).resume();
      await accepted;
      return socket;
    },
  };
}

async function answered(socket: Socket, { held }: Place): Promise<boolean> {
  const data = once(socket, 'data').then(() => true);
  const closed = once(socket, 'close').then(() => false);
  socket.write(REQUEST);
  while (held.length === 0 && !socket.destroyed) await new Promise((next) => setImmediate(next));
  held.pop()?.end('here');
  return Promise.race([data, closed]);
}

const closing = (socket: Socket) => once(socket, 'close');

test('where idle connections of one address fill the listener, a new client gets in and they make room', async () => {
  const at = await place(() => true);
  const idle: Socket[] = [];
  for (let count = 0; count < BOUNDS.idleConnections; count++) idle.push(await at.open());
  const closed = closing(idle[0]!);
  const client = await at.open('127.0.0.2');
  await closed;

  expect(await answered(client, at)).toBe(true);
  expect(idle.slice(1).filter(({ closed }) => closed)).toEqual([]);
});

test('an address that opens too many loses its own oldest, not those of others', async () => {
  const at = await place(() => false);
  const other = await at.open('127.0.0.2');
  const own: Socket[] = [];
  for (let count = 0; count < BOUNDS.idleConnectionsOfAddress; count++) own.push(await at.open());
  const closed = closing(own[0]!);
  await at.open();
  await closed;

  expect(other.closed).toBe(false);
  expect(own.slice(1).filter(({ closed }) => closed)).toEqual([]);
  expect(await answered(other, at)).toBe(true);
});

test('loopback and trusted proxies have no limit of their own', async () => {
  const at = await place(exemptAddresses(['192.0.2.0/24']));
  const own: Socket[] = [];
  for (let count = 0; count < BOUNDS.idleConnections; count++) own.push(await at.open());

  expect(await answered(own[0]!, at)).toBe(true);
  expect(own.filter(({ closed }) => closed)).toEqual([]);
  expect(exemptAddresses(['192.0.2.0/24'])('192.0.2.9')).toBe(true);
  expect(exemptAddresses([])('192.0.2.9')).toBe(false);
});

test('a connection with a request in flight is not counted and never closed for room', async () => {
  const at = await place(() => false);
  const busy = await at.open();
  busy.write(REQUEST);
  while (at.held.length === 0) await new Promise((next) => setImmediate(next));
  const [response] = at.held.splice(0);
  const idle: Socket[] = [];
  for (let count = 0; count < BOUNDS.idleConnectionsOfAddress; count++) idle.push(await at.open());
  const closed = closing(idle[0]!);
  await at.open();
  await closed;
  const data = once(busy, 'data');
  response?.end('late');

  expect(String((await data)[0])).toContain('late');
});

test('a connection that has just had its answer is the newest of the idle ones', async () => {
  const at = await place(() => false);
  const first = await at.open();
  const second = await at.open();
  await at.open();
  expect(await answered(first, at)).toBe(true);
  const closed = closing(second);
  await at.open();
  await closed;

  expect(first.closed).toBe(false);
});
