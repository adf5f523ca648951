// Room for new connections: those without a request in flight are counted, and the oldest of them is closed to make it.
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { compileBlocks, plainAddress } from '../config/address-blocks.ts';

export interface ConnectionLimits {
  /** Most idle connections of all addresses together. */
  readonly idle: number;
  /** Most idle connections of one address that is not exempt. */
  readonly idleOfAddress: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = { idle: 10_000, idleOfAddress: 1_000 };

/** Addresses that have no limit of their own: many clients come from loopback, and from each proxy in front of the gateway. */
export function exemptAddresses(trustedProxies: readonly string[]): (address: string) => boolean {
  return compileBlocks(['127.0.0.0/8', '::1', ...trustedProxies]);
}

interface Connection {
  readonly socket: Socket;
  /** Of its last request; undefined before the first. */
  response: ServerResponse | undefined;
  /** When it was last used, or opened: the number of requests and connections that there had been. */
  usedAt: number;
}

/** Connections are looked through when this share of them is new, so that a flood of them costs each no more than a few looks. */
const LOOK_AGAIN = 100;

/** Connections among which a new one finds room: those of one address, or all. */
class Group {
  private readonly most: number;
  private readonly connections = new Set<Connection>();
  private added = 0;
  /** The idle ones beyond those that were closed when it was last looked, oldest first; backwards. */
  private next: { readonly connection: Connection; readonly usedAt: number }[] = [];

  constructor(most: number) {
    this.most = most;
  }

  get isEmpty(): boolean {
    return this.connections.size === 0;
  }

  remove(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** Adds a connection; gives back those that make room for it. */
  add(connection: Connection): readonly Connection[] {
    this.connections.add(connection);
    this.added++;
    if (this.connections.size <= this.most) return NONE;
    if (this.added * LOOK_AGAIN < this.connections.size) return this.takeNext();
    this.added = 0;
    const idle = [...this.connections].filter(isIdle).sort((one, other) => one.usedAt - other.usedAt);
    const closed = idle.splice(0, Math.max(0, idle.length - this.most));
    this.next = closed.length === 0 ? [] : idle.map((each) => ({ connection: each, usedAt: each.usedAt })).reverse();
    return closed;
  }

  private takeNext(): readonly Connection[] {
    for (let one = this.next.pop(); one; one = this.next.pop()) {
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
 * The connections of some servers. One with a request or a stream in flight is never closed for room. Which are idle is looked up when there
 * are too many, so that a request costs no more than a note.
 */
export class IdleConnections {
  private readonly limits: ConnectionLimits;
  private readonly isExempt: (address: string) => boolean;
  private readonly all: Group;
  private readonly byAddress = new Map<string, Group>();
  private uses = 0;

  constructor(isExempt: (address: string) => boolean, limits: ConnectionLimits = CONNECTION_LIMITS) {
    this.isExempt = isExempt;
    this.limits = limits;
    this.all = new Group(limits.idle);
  }

  /** Follows the connections of a server; must be called before there are any. */
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
    if (!group) this.byAddress.set(address, (group = new Group(this.limits.idleOfAddress)));
    return group;
  }
}
