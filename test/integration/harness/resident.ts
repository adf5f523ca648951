// The resident memory of a gateway process, after its garbage is collected.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { GatewayProcess } from './gateway.ts';

/** What a gateway must be started with so that it can be made to collect its garbage. */
export const COLLECTABLE = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

const SETTLED_KIB = 256;
const MOST_LOOKS = 60;

/** KiB of a process that are in memory. */
function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** KiB that a gateway holds once nothing more is let go: its garbage is collected until that changes nothing. */
export async function settledResident(gateway: GatewayProcess): Promise<number> {
  const url = /ws:\/\/\S+/.exec(gateway.log())?.[0];
  if (url === undefined) throw new Error('the gateway was started without COLLECTABLE');
  let last = Infinity;
  for (let look = 0; look < MOST_LOOKS; look++) {
    await collect(url);
    await delay(500); // pages go back to the system in the background
    const now = residentOf(gateway.process.pid!);
    if (Math.abs(last - now) < SETTLED_KIB) return now;
    last = now;
  }
  return last;
}

/** Has the process collect its garbage (Chrome DevTools Protocol). */
function collect(url: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  socket.onmessage = () => {
    socket.close();
    resolve(undefined);
  };
  socket.onerror = () => reject(new Error(`${url} does not answer`));
  return promise;
}
