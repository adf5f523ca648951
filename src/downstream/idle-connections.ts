// Bounds the idle connections of HTTP servers: closes the one that was unused for longest to make room for a new connection.
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { compileBlocks, plainAddress } from '../config/address-blocks.ts';
import { type Bounds, BOUNDS } from '../core/bounds/bounds.ts';

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
