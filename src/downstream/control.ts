// The control socket: how the command line and joining stdio clients reach the owner of a state directory, never over TCP.
import { createServer } from 'node:http';
import { rmSync } from 'node:fs';
import { type Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Gateway } from '../gateway/gateway.ts';
import { createFront } from './http.ts';
import { StdioFront } from './mcp/stdio.ts';

/** The `Upgrade` token with which a stdio client asks for a bare stream of MCP lines. */
export const STDIO_UPGRADE = 'mcp-stdio';

/** How long answers that are written already may take to leave, and how often it is looked whether they have. */
const LAST_BYTES_MS = 1_000;
const IDLE_CHECK_MS = 20;

export interface Control {
  close(): Promise<void>;
}

/** Listens on the socket; it is private to the user by the mode of its folder and its own. Rejects where it cannot be bound. */
export async function openControl(gateway: Gateway, path: string): Promise<Control> {
  const front = createFront({ gateway });
  const server = createServer(front.listener);
  const joined = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    if (request.headers.upgrade !== STDIO_UPGRADE) {
      socket.destroy();
      return;
    }
    joined.add(socket);
    socket.on('close', () => joined.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STDIO_UPGRADE}\r\n\r\n`);
    const stdio = new StdioFront(gateway, { input: socket, output: socket });
    void stdio.ended.then(() => socket.end());
  });
  if (process.platform !== 'win32') rmSync(path, { force: true }); // ours by the lock: whoever left it is gone
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  return {
    close: async () => {
      front.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // the calls have ended, their answers may still be on the way: cutting the connections now would lose them
      for (const socket of joined) socket.end();
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
      await Promise.race([closed, delay(LAST_BYTES_MS, undefined, { ref: false })]);
      clearInterval(idle);
      for (const socket of joined) socket.destroy();
      server.closeAllConnections();
      await closed;
    },
  };
}
