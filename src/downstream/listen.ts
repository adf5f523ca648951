// Binding a front to addresses: both loopback ones at once, limits on slow senders, an orderly end.
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { reasonOf } from '../core/errors.ts';

/** Node's defaults let half-sent requests stand for minutes; these close slow headers within 7 s and slow bodies within 15 s. */
const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 12_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16_384,
  noDelay: true,
};

/** How long a reader may take for what was written before the end. */
const FLUSH_MS = 1_000;

/** Most open connections of one address. */
const MAX_CONNECTIONS = 10_000;
const PORT_ATTEMPTS = 10;
/** How often a listener that is closing looks for connections that have had their last answer. */
const IDLE_CHECK_MS = 20;

/** The address cannot be bound; the message says why and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface Listening {
  /** `http://HOST:PORT` of the first address. */
  readonly url: string;
  readonly urls: readonly string[];
  /** Takes no more connections, and ends idle ones. Resolves when all are gone. */
  close(): Promise<void>;
  /** Ends each connection when its answer has left, and after 1 s those whose reader does not take it. */
  force(): void;
}

/** The addresses that a host setting stands for: IPv4 loopback brings the IPv6 one along where the machine has it. */
function addressesOf(host: string): readonly string[] {
  return host === '127.0.0.1' || host === 'localhost' ? ['127.0.0.1', '::1'] : [host];
}

/** Binds every address of `host`; with port 0 they share one free port. Throws ListenError. */
export async function listen(
  listener: RequestListener,
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  const [first = host, ...others] = addressesOf(host);
  for (let attempt = 1; ; attempt++) {
    const servers = [await bind(listener, first, port)];
    const bound = (servers[0]?.address() as AddressInfo).port;
    try {
      for (const other of others) servers.push(await bind(listener, other, bound));
    } catch (error) {
      const taken = error instanceof ListenError && error.cause !== undefined && codeOf(error.cause) === 'EADDRINUSE';
      if (taken && port === 0 && attempt < PORT_ATTEMPTS) {
        servers.forEach((server) => server.close());
        continue;
      }
      if (taken) {
        servers.forEach((server) => server.close());
        throw error;
      }
      // a machine without IPv6 loopback is served on IPv4 alone
    }
    return listening(servers);
  }
}

function bind(listener: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer(LIMITS, listener);
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen({ host, port, ipv6Only: host === '::1' }, () => resolve(server));
  });
}

function listenError(error: Error, host: string, port: number): ListenError {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: `${host}:${port} is in use by another process. Stop it, or choose another port with --port (0 finds a free one).`,
    EACCES: `${host}:${port} needs more rights than this process has. Choose a port above 1023 with --port.`,
    EADDRNOTAVAIL: `${host} is not an address of this machine. Set listen.host or --host to one that is.`,
  };
  return new ListenError(why[codeOf(error)] ?? `${host}:${port} cannot be bound: ${reasonOf(error)}`, { cause: error });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function listening(servers: readonly Server[]): Listening {
  const sockets = new Set<Socket>();
  for (const server of servers)
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  const urls = servers.map((server) => {
    const { address, port, family } = server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  });
  return {
    url: urls[0] ?? '',
    urls,
    close: async () => {
      // Node ends connections that are idle now; one that becomes idle later, after its last answer, would be kept alive
      const idle = setInterval(() => servers.forEach((server) => server.closeIdleConnections()), IDLE_CHECK_MS);
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
      clearInterval(idle);
    },
    force: () => {
      // an answer that was given may still be on its way to a slow reader
      for (const socket of sockets) socket.destroySoon();
      setTimeout(() => sockets.forEach((socket) => socket.destroy()), FLUSH_MS).unref();
    },
  };
}
