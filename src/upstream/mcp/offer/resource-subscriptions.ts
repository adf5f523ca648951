// Subscriptions to resources of one server: counted by holder, made once upstream, made again after a reconnect.
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import { isObject } from '../../../core/json.ts';
import type { Connection } from '../connect/connection.ts';
import type { OfferWatch } from './offer-watch.ts';

/** Most resources that are followed at one server. */
const MAX_URIS = 10_000;

/** A connection and the watch that listens on it. */
export interface Live {
  readonly connection: Connection;
  readonly watch: OfferWatch;
}

interface Followed {
  readonly holders: Set<string>;
  /** Settles with the server's subscription on the connection that there is, or was last. */
  ready: Promise<void>;
}

/** The connection to a server, or the way to get one. */
interface Connecting {
  readonly current: Live | undefined;
  acquire(signal: CancelSignal): Promise<Live>;
}

/** Who follows what; survives the connection. */
export class ResourceSubscriptions {
  private readonly followed = new Map<string, Followed>();
  private readonly server: string;
  private readonly totalMs: number;

  constructor(server: string, totalMs: number) {
    this.server = server;
    this.totalMs = totalMs;
  }

  /** How many resources are followed. */
  get size(): number {
    return this.followed.size;
  }

  /**
   * Follows a resource for a holder, on a server that is started for it if need be. At one that is down the subscription stands, and is
   * made when it is back. Throws GatewayError where the server refuses it, or the caller gives up.
   */
  async follow(
    { uri, holder }: { uri: string; holder: string },
    connecting: Connecting,
    signal: CancelSignal,
  ): Promise<void> {
    await this.add(uri, holder, connecting.current);
    if (connecting.current) return;
    try {
      await connecting.acquire(signal);
    } catch (error) {
      if (!signal.aborted) return;
      this.remove(uri, holder, undefined);
      throw error;
    }
    const entry = this.followed.get(uri); // `resume` has begun to subscribe by now
    if (entry) await this.settled(uri, entry);
  }

  /** Follows a resource for a holder; the first holder makes the server's subscription, the others wait for it. Throws GatewayError. */
  async add(uri: string, holder: string, live: Live | undefined): Promise<void> {
    const known = this.followed.get(uri);
    if (known) {
      known.holders.add(holder);
      return known.ready;
    }
    if (this.followed.size >= MAX_URIS)
      throw new GatewayError('overloaded', `The server "${this.server}" has ${MAX_URIS} followed resources already.`);
    const ready = live ? this.subscribe(uri, live) : Promise.resolve();
    const entry = { holders: new Set([holder]), ready };
    this.followed.set(uri, entry);
    await this.settled(uri, entry);
  }

  /** The last holder that lets go ends the server's subscription. */
  remove(uri: string, holder: string, live: Live | undefined): void {
    const known = this.followed.get(uri);
    if (!known?.holders.delete(holder) || known.holders.size > 0) return;
    this.followed.delete(uri);
    if (!live) return;
    // nobody waits for it: an unsubscribe that fails only means news that nobody is told
    if (live.connection.era === 'modern') void live.watch.follow(uri, false);
    else
      live.connection
        .request({ method: 'resources/unsubscribe', params: { uri }, totalMs: this.totalMs })
        .catch(() => undefined);
  }

  /** Subscribes anew on a new connection. */
  async resume(live: Live): Promise<void> {
    const made = [...this.followed].map(([uri, entry]) => (entry.ready = this.subscribe(uri, live)));
    await Promise.allSettled(made);
  }

  /** What the server refuses is not followed. */
  private async settled(uri: string, entry: Followed): Promise<void> {
    try {
      await entry.ready;
    } catch (error) {
      if (this.followed.get(uri) === entry) this.followed.delete(uri);
      throw error;
    }
  }

  private async subscribe(uri: string, { connection, watch }: Live): Promise<void> {
    const declared = connection.handshake.capabilities.resources;
    if (!isObject(declared) || declared.subscribe !== true) {
      throw new GatewayError(
        'method_not_found',
        `The server "${this.server}" does not tell of changes to its resources.`,
      );
    }
    if (connection.era === 'modern') {
      await watch.follow(uri, true);
      return;
    }
    const reply = await connection.request({ method: 'resources/subscribe', params: { uri }, totalMs: this.totalMs });
    if (reply.error) {
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" refused the subscription: ${reply.error.message.slice(0, 200)}`,
      );
    }
  }
}
