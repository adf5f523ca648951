// Ends HTTP servers in order: they take no new connections, their last answers leave, and no reader can hold up the end.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { withDeadline } from '../core/wait.ts';

/** How long a reader may take for what was written before the end. */
const FLUSH_MS = 1_000;

/** How often connections are closed that have had their last answer. */
const IDLE_CHECK_MS = 20;

export interface Ending {
  /** The servers take no more connections and close idle ones. */
  stop(): void;
  /** Closes each connection when its reader has taken what was written, and after 1 s where the reader does not. */
  finish(): Promise<void>;
}

/** Follows the connections of servers, so that they can be ended; must be called before there are any. */
export function prepareShutdown(servers: readonly Server[]): Ending {
  const sockets = new Set<Socket>();
  for (const server of servers)
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  let closed: Promise<unknown> | undefined;
  let idle: NodeJS.Timeout | undefined;
  const stop = () => {
    // `server.close` ends only the connections that are idle now, and would keep alive those that become idle later
    idle ??= setInterval(() => servers.forEach((server) => server.closeIdleConnections()), IDLE_CHECK_MS);
    closed ??= Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  };
  return {
    stop,
    finish: async () => {
      stop();
      // an answer that was given may still be on its way to a slow reader
      for (const socket of sockets) socket.destroySoon();
      await withDeadline(Promise.resolve(closed), FLUSH_MS, () => sockets.forEach((socket) => socket.destroy()));
      clearInterval(idle);
    },
  };
}
