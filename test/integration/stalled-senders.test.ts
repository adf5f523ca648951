// Senders who stall hold nothing: they lose their connection, and others are served meanwhile.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway } from './harness/gateway.ts';
import { modern, open, resultOf, send } from './harness/raw.ts';

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
  const port = () => Number(new URL(gateway.origin).port);
  const HEAD = `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;

  /** Opens a socket that sends a part and then a byte now and then; resolves with the seconds until it was closed. */
  async function stall(part: string, drip: string): Promise<{ seconds: number; text: string }> {
    const socket: Socket = connect(port(), '127.0.0.1');
    await once(socket, 'connect');
    const since = performance.now();
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', () => undefined); // a reset is an end too
    socket.write(part);
    const timer = setInterval(() => drip !== '' && socket.write(drip), 1_000);
    await new Promise((resolve) => socket.once('close', resolve)); // `once` of node:events would throw at a reset
    clearInterval(timer);
    return { seconds: (performance.now() - since) / 1_000, text };
  }

  test('lose their connection: headers within 7 s, bodies within 15 s; others are served meanwhile', async () => {
    const many = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: 40 }, make));
    const headers = Promise.all([
      many(() => stall('', '')),
      many(() => stall('POST /mcp HTTP/1.1\r\nHost: localhost\r\n', '')),
      many(() => stall('POST /mcp HTTP/1.1\r\nHost: localhost\r\n', 'X-Drip: 1\r\n')),
    ]);
    const bodies = Promise.all([
      many(() => stall(`${HEAD}Content-Length: 1000\r\n\r\n{`, '')),
      many(() => stall(`${HEAD}Content-Length: 1000\r\n\r\n{`, ' ')),
      many(() => stall(`${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, '1\r\n \r\n')),
      // refused already, and still sending
      many(() => stall(`${HEAD}Content-Length: 100000000\r\n\r\n{`, ' ')),
    ]);
    const served = await send(
      gateway.origin,
      modern('tools/call', { name: 'echo__echo', arguments: { text: 'served' } }),
    );

    expect(resultOf(served).content).toEqual([{ type: 'text', text: 'served' }]);
    expect(Math.max(...(await headers).flat().map(({ seconds }) => seconds))).toBeLessThan(7);
    expect(Math.max(...(await bodies).flat().map(({ seconds }) => seconds))).toBeLessThan(15);
  }, 25_000);

  test('who leave in the middle of a body leave nothing behind', async () => {
    const request = open(gateway.origin, { headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' } });
    request.on('error', () => undefined);
    request.destroy();

    expect((await send(gateway.origin, modern('tools/list'))).status).toBe(200);
    expect(gateway.log()).not.toContain('a request failed');
  });
});
