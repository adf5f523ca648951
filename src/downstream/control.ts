// The control socket: how the command line and joining stdio clients reach the owner of a state directory, never over TCP.
import { createServer } from 'node:http';
import { rmSync } from 'node:fs';
import { type Gateway } from '../gateway/gateway.ts';
import { prepareEnding } from './ending.ts';
import { createFront } from './http.ts';
import { StdioFront } from './mcp/stdio.ts';

/** The `Upgrade` token with which a stdio client asks for a bare stream of MCP lines. */
export const STDIO_UPGRADE = 'mcp-stdio';

export interface Control {
  close(): Promise<void>;
}

/** Listens on the socket; it is private to the user by the mode of its folder and its own. Rejects where it cannot be bound. */
export async function openControl(gateway: Gateway, path: string): Promise<Control> {
  const front = createFront({ gateway });
  const server = createServer(front.listener);
  const ending = prepareEnding([server]);
  server.on('upgrade', (request, socket) => {
    if (request.headers.upgrade !== STDIO_UPGRADE) {
      socket.destroy();
      return;
    }
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
      await ending.finish();
    },
  };
}
