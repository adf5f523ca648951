// Senders who begin a request and never end it.
import { once } from 'node:events';
import { connect } from 'node:net';

const HEAD = `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
const AT_ONCE = 40;

/** Opens a socket that sends a part and then a byte now and then; resolves with the seconds until it was closed. */
async function stall(origin: string, part: string, drip: string): Promise<number> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1');
  await once(socket, 'connect');
  const since = performance.now();
  socket.resume();
  socket.on('error', () => undefined); // a reset is an end too
  socket.write(part);
  const timer = setInterval(() => drip !== '' && socket.write(drip), 1_000);
  await new Promise((resolve) => socket.once('close', resolve)); // `once` of node:events would throw at a reset
  clearInterval(timer);
  return (performance.now() - since) / 1_000;
}

/** Stalls in every way, by many beside each other; resolves with the seconds until each was closed, of those who stall in their headers and in their body. */
export function stallEverywhere(origin: string): { headers: Promise<number[]>; bodies: Promise<number[]> } {
  const many = async (...ways: readonly (readonly [string, string])[]) =>
    Promise.all(ways.flatMap(([part, drip]) => Array.from({ length: AT_ONCE }, () => stall(origin, part, drip))));
  return {
    headers: many(
      ['', ''],
      ['POST /mcp HTTP/1.1\r\nHost: localhost\r\n', ''],
      ['POST /mcp HTTP/1.1\r\nHost: localhost\r\n', 'X-Drip: 1\r\n'],
    ),
    bodies: many(
      [`${HEAD}Content-Length: 1000\r\n\r\n{`, ''],
      [`${HEAD}Content-Length: 1000\r\n\r\n{`, ' '],
      [`${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, '1\r\n \r\n'],
      // refused already, and still sending
      [`${HEAD}Content-Length: 100000000\r\n\r\n{`, ' '],
    ),
  };
}
