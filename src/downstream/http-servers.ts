// The HTTP servers of a front: binds them to the addresses of a host, bounds their idle connections, and shuts them down.
import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { BOUNDS, type Bounds } from '../core/bounds/bounds.ts';
import { createServer } from '../core/node-http.ts';
import { reasonOf } from '../core/errors.ts';
import { withDeadline } from '../core/cancellation.ts';
import { compileBlocks, plainAddress } from '../config/address-blocks.ts';

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

/** Addresses without a limit of their own, because many clients share them: loopback, and the proxies in front of the gateway. */
export function exemptAddresses(trustedProxies: readonly string[]): (address: string) => boolean {
  return compileBlocks(['127.0.0.0/8', '::1', ...trustedProxies]);
}

interface Connection {
  readonly socket: Socket;
  /** The response to its last request; undefined before the first. */
  response: ServerResponse | undefined;
  /** When it was last used, or opened, as a count of all requests and connections so far. */
  usedAt: number;
}

/** A group is scanned again when one in so many of its connections is new, so that a scan costs each new connection little. */
const SCAN_SHARE = 100;

/** Connections that share a bound: those of one address, or all. */
class Group {
  private readonly most: number;
  private readonly connections = new Set<Connection>();
  private addedSinceScan = 0;
  /** The connections that were idle at the last scan and stayed open; the one to close next is the last. */
  private candidates: { readonly connection: Connection; readonly usedAt: number }[] = [];

  constructor(most: number) {
    this.most = most;
  }

  get isEmpty(): boolean {
    return this.connections.size === 0;
  }

  remove(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** Adds a connection; returns the connections to close. */
  add(connection: Connection): readonly Connection[] {
    this.connections.add(connection);
    this.addedSinceScan++;
    if (this.connections.size <= this.most) return NONE;
    if (this.addedSinceScan * SCAN_SHARE < this.connections.size) return this.nextCandidate();
    this.addedSinceScan = 0;
    const idle = [...this.connections].filter(isIdle).sort((one, other) => one.usedAt - other.usedAt);
    const evicted = idle.splice(0, Math.max(0, idle.length - this.most));
    this.candidates =
      evicted.length === 0 ? [] : idle.map((each) => ({ connection: each, usedAt: each.usedAt })).reverse();
    return evicted;
  }

  private nextCandidate(): readonly Connection[] {
    for (let one = this.candidates.pop(); one; one = this.candidates.pop()) {
      const { connection, usedAt } = one;
      if (this.connections.has(connection) && connection.usedAt === usedAt && isIdle(connection)) return [connection];
    }
    return NONE;
  }
}

const NONE: readonly Connection[] = [];

function isIdle({ socket, response }: Connection): boolean {
  return !socket.destroyed && (response === undefined || response.writableFinished || response.destroyed);
}

/**
 * The connections of some servers. It never closes one with a request or a stream in flight. It scans for idle connections only when there
 * are too many, so that a request costs two assignments.
 */
export class IdleConnections {
  private readonly mostOfAddress: number;
  private readonly isExempt: (address: string) => boolean;
  private readonly all: Group;
  private readonly byAddress = new Map<string, Group>();
  private uses = 0;

  constructor(isExempt: (address: string) => boolean, { idleConnections, idleConnectionsOfAddress }: Bounds = BOUNDS) {
    this.isExempt = isExempt;
    this.mostOfAddress = idleConnectionsOfAddress;
    this.all = new Group(idleConnections);
  }

  /** Tracks the connections of a server; the caller calls it before the server listens. */
  follow(server: Server): void {
    const connections = new WeakMap<Socket, Connection>();
    server.on('connection', (socket: Socket) => {
      const connection = { socket, response: undefined, usedAt: ++this.uses };
      connections.set(socket, connection);
      this.add(connection, plainAddress(socket.remoteAddress ?? '0.0.0.0'));
    });
    server.on('request', ({ socket }, response) => {
      const connection = connections.get(socket);
      if (!connection) return;
      connection.response = response;
      connection.usedAt = ++this.uses;
    });
  }

  private add(connection: Connection, address: string): void {
    const own = this.isExempt(address) ? undefined : this.groupOf(address);
    connection.socket.once('close', () => {
      this.all.remove(connection);
      own?.remove(connection);
      if (own?.isEmpty) this.byAddress.delete(address);
    });
    for (const oldest of own?.add(connection) ?? NONE) oldest.socket.destroy();
    for (const oldest of this.all.add(connection)) oldest.socket.destroy();
  }

  private groupOf(address: string): Group {
    let group = this.byAddress.get(address);
    if (!group) this.byAddress.set(address, (group = new Group(this.mostOfAddress)));
    return group;
  }
}
