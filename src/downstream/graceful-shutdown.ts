// Shuts down HTTP servers: they accept no new connections, send their last answers, and wait for slow clients only for a short time.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { withDeadline } from '../core/wait.ts';

export interface GracefulShutdown {
  /** The servers accept no more connections, and close idle ones. */
  stop(): void;
  /** Closes each connection when its client has read what was written, or after `shutdownFlushTime`. */
  finish(): Promise<void>;
}

/** Tracks the connections of servers; the caller calls it before the servers listen. */
export function prepareShutdown(servers: readonly Server[]): GracefulShutdown {
  const sockets = new Set<Socket>();
  for (const server of servers)
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  let closed: Promise<unknown> | undefined;
  let idle: NodeJS.Timeout | undefined;
  const stop = () => {
    // `server.close` closes only the connections that are idle now
    idle ??= setInterval(() => servers.forEach((server) => server.closeIdleConnections()), BOUNDS.shutdownIdleCheck);
    closed ??= Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  };
  return {
    stop,
    finish: async () => {
      stop();
      for (const socket of sockets) socket.destroySoon(); // after what was written
      const destroyAll = () => sockets.forEach((socket) => socket.destroy());
      await withDeadline(Promise.resolve(closed), BOUNDS.shutdownFlushTime, destroyAll);
      clearInterval(idle);
    },
  };
}
