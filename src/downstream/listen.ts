// Binds a front to the addresses of its host, with limits on slow senders.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { type GracefulShutdown, prepareShutdown } from './graceful-shutdown.ts';
import { IdleConnections } from './idle-connections.ts';

/** Node's own defaults keep half-sent requests for minutes. */
const SERVER_OPTIONS = {
  headersTimeout: BOUNDS.requestHeadTime,
  requestTimeout: BOUNDS.requestTime,
  connectionsCheckingInterval: BOUNDS.requestTimeCheck,
  keepAliveTimeout: BOUNDS.keepAliveTime,
  maxHeaderSize: BOUNDS.requestHead,
  noDelay: true,
};

/** The address cannot be bound; the message says why and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface Listening extends GracefulShutdown {
  /** `http://HOST:PORT` of the first address. */
  readonly url: string;
  readonly urls: readonly string[];
}

/** The addresses of a host setting: IPv4 loopback includes IPv6 loopback. */
function addressesOf(host: string): readonly string[] {
  return host === '127.0.0.1' || host === 'localhost' ? ['127.0.0.1', '::1'] : [host];
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Bounds the idle connections of all addresses together. */
  readonly idle?: IdleConnections;
}

/** Binds every address of `host`; with port 0 they share one free port. Throws ListenError. */
export async function listen(
  listener: RequestListener,
  { host, port, idle = new IdleConnections(() => true) }: ListenOptions,
): Promise<Listening> {
  const [first = host, ...others] = addressesOf(host);
  for (let attempt = 1; ; attempt++) {
    const servers = [await bind(listener, { host: first, port, idle })];
    const bound = (servers[0]?.address() as AddressInfo).port;
    try {
      for (const other of others) servers.push(await bind(listener, { host: other, port: bound, idle }));
    } catch (error) {
      const taken = error instanceof ListenError && error.cause !== undefined && codeOf(error.cause) === 'EADDRINUSE';
      if (taken && port === 0 && attempt < BOUNDS.bindAttempts) {
        servers.forEach((server) => server.close());
        continue;
      }
      if (taken) {
        servers.forEach((server) => server.close());
        throw error;
      }
      // a machine without IPv6 loopback has IPv4 only
    }
    return listening(servers);
  }
}

function bind(listener: RequestListener, { host, port, idle }: Required<ListenOptions>): Promise<Server> {
  const server = createServer(SERVER_OPTIONS, listener);
  idle.follow(server);
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
  const urls = servers.map((server) => {
    const { address, port, family } = server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  });
  return { url: urls[0] ?? '', urls, ...prepareShutdown(servers) };
}
