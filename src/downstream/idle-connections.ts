// Room for new connections: those without a request in flight are counted, and the oldest of them is closed to make it.
import type { Server } from 'node:http';
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

/** The idle connections of some servers, oldest first. A connection with a request or a stream in flight is never closed for room. */
export class IdleConnections {
  private readonly limits: ConnectionLimits;
  private readonly isExempt: (address: string) => boolean;
  private readonly all = new Set<Socket>();
  private readonly byAddress = new Map<string, Set<Socket>>();
  private readonly requests = new WeakMap<Socket, number>();

  constructor(isExempt: (address: string) => boolean, limits: ConnectionLimits = CONNECTION_LIMITS) {
    this.isExempt = isExempt;
    this.limits = limits;
  }

  /** Follows the connections of a server; must be called before there are any. */
  follow(server: Server): void {
    server.on('connection', (socket: Socket) => {
      const address = ownerOf(socket);
      socket.once('close', () => this.remove(socket, address));
      this.add(socket, address);
    });
    server.on('request', ({ socket }, response) => {
      const address = ownerOf(socket);
      this.requests.set(socket, (this.requests.get(socket) ?? 0) + 1);
      this.remove(socket, address);
      response.once('close', () => {
        const left = (this.requests.get(socket) ?? 1) - 1;
        this.requests.set(socket, left);
        if (left === 0 && !socket.destroyed) this.add(socket, address);
      });
    });
  }

  private add(socket: Socket, address: string): void {
    this.all.add(socket);
    const own = this.byAddress.get(address) ?? new Set();
    this.byAddress.set(address, own.add(socket));
    const exempt = own.size <= this.limits.idleOfAddress || this.isExempt(address);
    if (!exempt) this.closeOldest(own);
    if (this.all.size > this.limits.idle) this.closeOldest(this.all);
  }

  private closeOldest(sockets: ReadonlySet<Socket>): void {
    const [oldest] = sockets;
    if (!oldest) return;
    this.remove(oldest, ownerOf(oldest));
    oldest.destroy();
  }

  private remove(socket: Socket, address: string): void {
    this.all.delete(socket);
    const own = this.byAddress.get(address);
    if (own?.delete(socket) && own.size === 0) this.byAddress.delete(address);
  }
}

const owners = new WeakMap<Socket, string>();

/** The address that a connection counts for, kept since a closed socket has forgotten it. */
function ownerOf(socket: Socket): string {
  const known = owners.get(socket);
  if (known !== undefined) return known;
  const address = plainAddress(socket.remoteAddress ?? '0.0.0.0');
  owners.set(socket, address);
  return address;
}
