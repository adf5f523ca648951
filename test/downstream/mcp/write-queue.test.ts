// The write queue over real sockets: a client that reads gets messages of any size in order, one that does not is cut off.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Bounds, boundsWith } from '../../../src/core/bounds/bounds.ts';
import { endpointLimits } from '../../../src/downstream/mcp/limits.ts';
import { WriteQueue } from '../../../src/downstream/mcp/write-queue.ts';

const MIB = 1024 * 1024;

const limitsWith = (replaced: Partial<Bounds>) =>
  endpointLimits(boundsWith({ slowReaderBuffer: MIB, slowReaderTime: 10_000, writeMemory: 1024 * MIB, ...replaced }));

async function setup(limits = limitsWith({})) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.on('error', () => undefined);
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  client.write('GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  response.useChunkedEncodingByDefault = false; // the text alone
  response.writeHead(200).flushHeaders();
  const queue = new WriteQueue(response, limits);
  /** Reads everything until the end; the rest of the head comes first. */
  const read = async () => {
    const chunks: Buffer[] = [];
    client.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
    await once(client, 'close');
    const whole = Buffer.concat(chunks).toString();
    return whole.slice(whole.indexOf('\r\n\r\n') + 4);
  };
  return { queue, response, client, read };
}

test('a reader at full speed gets messages of any size, whole and in order, also many at once', async () => {
  const { queue, read } = await setup();
  const sent = ['first ', 'ü€😀'.repeat(2 * MIB), ...[1, 2, 3, 4, 5, 6].map((n) => `${n}`.repeat(4 * MIB)), ' last'];
  for (const text of sent.slice(0, -1)) expect(queue.write(text)).toBe(true);
  queue.end(sent.at(-1));

  expect((await read()) === sent.join('')).toBe(true);
});

test('a message that is much larger than what may wait reaches a reader that begins to read, and others after it', async () => {
  const { queue, response, read } = await setup(limitsWith({ slowReaderTime: 60_000 }));
  queue.write('x'.repeat(17 * MIB));
  queue.write('y');
  expect(queue.waiting).toBeGreaterThan(8 * MIB);
  const reading = read();
  while (response.writableNeedDrain) await once(response, 'drain');
  queue.write('z');
  queue.end();

  expect((await reading) === `${'x'.repeat(17 * MIB)}yz`).toBe(true);
});

test('one that has taken nothing for a while, while too much waits, is cut off', async () => {
  const { queue, response } = await setup(limitsWith({ slowReaderTime: 0 }));
  let written = 0;
  while (queue.write('x'.repeat(64 * 1024)) && written < 1_000) written++;

  expect(response.destroyed).toBe(true);
  expect(written).toBeLessThan(100);
});

test('of all readers together those that are behind for longest are cut off', async () => {
  const limits = limitsWith({ writeMemory: 32 * MIB });
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => setup(limits)));
  const large = 'x'.repeat(20 * MIB); // sockets hold some of it
  first!.queue.end(large);
  second!.queue.write(large);
  expect([first, second].map((one) => one!.response.destroyed)).toEqual([true, false]);
  limits.writeBudget.follow(third!.response.end(large));

  expect([second, third].map((one) => one!.response.destroyed)).toEqual([true, false]);
});
