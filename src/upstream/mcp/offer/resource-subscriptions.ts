// Subscriptions to resources on one connection at a time: counted by follower, made once upstream, made again after a reconnect.
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import { isObject } from '../../../core/json.ts';
import { resourcesAbove } from '../../../protocol/mcp/sub-resources.ts';
import type { Connection } from '../connect/connection.ts';
import type { CallerFacts } from '../instances/affinity.ts';
import type { OfferWatch } from './offer-watch.ts';

/** Most resources that are followed at one server. */
const MAX_URIS = 10_000;

/** Failures with which a server says no; after any other the subscription is made again with the next connection. */
const REFUSALS = new Set<string>(['upstream_protocol', 'method_not_found']);

/** Whoever follows resources: a session, or a listener of 2026-07-28. */
export interface Follower {
  /** Names it: it follows a resource once, however often it asks for it. */
  readonly key: string;
  readonly caller: CallerFacts;
  /** Whether the policy in force lets it know that a resource changed. */
  mayHear(server: string, uri: string): boolean;
  /** Tells it of a change to what it follows, or to what lies below that. */
  updated(uri: string): void;
}

/** A resource, and one who follows it. */
export interface Following {
  readonly uri: string;
  readonly follower: Follower;
}

/** A connection and the watch that listens on it. */
export interface Live {
  readonly connection: Connection;
  readonly watch: OfferWatch;
  /** Tells of a change as though the server had said so. */
  updated(uri: string): void;
}

interface Followed {
  readonly followers: Map<string, Follower>;
  /** Settles with the server's subscription on the connection that there is, or was last. */
  ready: Promise<void>;
  /** Whether there was a connection that told of it. */
  wasTold: boolean;
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
  /** What is being asked about a resource on a connection. */
  private readonly asking = new WeakMap<Connection, Map<string, Promise<void>>>();

  constructor(server: string, totalMs: number) {
    this.server = server;
    this.totalMs = totalMs;
  }

  /** How many resources are followed. */
  get size(): number {
    return this.followed.size;
  }

  /** Whoever follows the resource, or one above it, and may hear of both; each once. */
  followersOf(uri: string): Iterable<Follower> {
    if (this.followed.size === 0) return [];
    const found = new Map<string, Follower>();
    for (const followed of [uri, ...resourcesAbove(uri)])
      for (const [key, follower] of this.followed.get(followed)?.followers ?? [])
        if (follower.mayHear(this.server, followed) && follower.mayHear(this.server, uri)) found.set(key, follower);
    return found.values();
  }

  /**
   * Follows a resource on a server that is started for it if need be. At one that is down the subscription stands, and is made when it is
   * back. Throws GatewayError where the server refuses it, or the caller gives up.
   */
  async follow(following: Following, connecting: Connecting, signal: CancelSignal): Promise<void> {
    await this.add(following, connecting.current);
    if (connecting.current) return;
    const { uri, follower } = following;
    const entry = this.followed.get(uri);
    try {
      await connecting.acquire(signal);
    } catch (error) {
      if (!signal.aborted) return;
      this.remove(uri, follower.key, undefined);
      throw error;
    }
    if (entry) await this.settled(uri, entry); // `resume` has begun to subscribe by now
  }

  /** The first follower makes the server's subscription, the others wait for it. Throws GatewayError. */
  async add({ uri, follower }: Following, live: Live | undefined): Promise<void> {
    const known = this.followed.get(uri);
    if (known) {
      known.followers.set(follower.key, follower);
      // a modern server says with each listening what it grants, which may be less by now
      if (live?.connection.era === 'modern') known.ready = this.subscribe(uri, live);
      return this.settled(uri, known);
    }
    if (this.followed.size >= MAX_URIS)
      throw new GatewayError('overloaded', `The server "${this.server}" has ${MAX_URIS} followed resources already.`);
    const ready = live ? this.subscribe(uri, live) : Promise.resolve();
    const entry = { followers: new Map([[follower.key, follower]]), ready, wasTold: live !== undefined };
    this.followed.set(uri, entry);
    await this.settled(uri, entry);
  }

  /** Takes over who followed at the server that this one replaces; it is subscribed to, and told as changed, with the next connection. */
  adopt({ uri, follower }: Following): void {
    const known = this.followed.get(uri);
    if (known) known.followers.set(follower.key, follower);
    else if (this.followed.size < MAX_URIS) {
      const followers = new Map([[follower.key, follower]]);
      this.followed.set(uri, { followers, ready: Promise.resolve(), wasTold: true });
    }
  }

  /** Gives everything away that is followed. */
  release(): Following[] {
    const all = [...this.followed].flatMap(([uri, { followers }]) =>
      [...followers.values()].map((follower) => ({ uri, follower })),
    );
    this.followed.clear();
    return all;
  }

  /** The last follower that lets go ends the server's subscription. */
  remove(uri: string, key: string, live: Live | undefined): void {
    const known = this.followed.get(uri);
    if (!known?.followers.delete(key) || known.followers.size > 0) return;
    this.followed.delete(uri);
    // nobody waits for it: an unsubscribe that fails only means news that nobody is told
    if (live) this.inTurn(uri, live, () => this.unsubscribe(uri, live)).catch(() => undefined);
  }

  /** Subscribes anew on a new connection. What changed while nobody told of it is not known, so all is told as changed. Never throws. */
  async resume(live: Live): Promise<void> {
    const made = [...this.followed].map(async ([uri, entry]) => {
      entry.ready = this.subscribe(uri, live);
      try {
        await entry.ready;
        if (entry.wasTold && this.followed.get(uri) === entry) live.updated(uri);
        entry.wasTold = true;
      } catch (error) {
        if (error instanceof GatewayError && REFUSALS.has(error.code)) this.drop(uri, entry);
      }
    });
    await Promise.all(made);
  }

  /** What the server refuses is not followed. */
  private async settled(uri: string, entry: Followed): Promise<void> {
    try {
      await entry.ready;
    } catch (error) {
      this.drop(uri, entry);
      throw error;
    }
  }

  private drop(uri: string, entry: Followed): void {
    if (this.followed.get(uri) === entry) this.followed.delete(uri);
  }

  private async subscribe(uri: string, live: Live): Promise<void> {
    const { connection, watch } = live;
    const declared = connection.handshake.capabilities.resources;
    if (!isObject(declared) || declared.subscribe !== true) {
      throw new GatewayError(
        'method_not_found',
        `The server "${this.server}" does not tell of changes to its resources.`,
      );
    }
    if (connection.era === 'legacy') await this.inTurn(uri, live, () => this.request('resources/subscribe', uri, live));
    else if (!(await watch.follow(uri, true)))
      throw new GatewayError('upstream_protocol', `The server "${this.server}" did not grant the subscription.`);
  }

  private async unsubscribe(uri: string, live: Live): Promise<void> {
    if (live.connection.era === 'legacy') await this.request('resources/unsubscribe', uri, live);
    else await live.watch.follow(uri, false);
  }

  private async request(method: string, uri: string, { connection }: Live): Promise<void> {
    const { error } = await connection.request({ method, params: { uri }, totalMs: this.totalMs });
    if (error)
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" refused the subscription: ${error.message.slice(0, 200)}`,
      );
  }

  /** Asks when what was asked about the same resource before is answered: over HTTP the later request may arrive first. */
  private inTurn(uri: string, { connection }: Live, ask: () => Promise<void>): Promise<void> {
    const asking = this.asking.get(connection) ?? new Map<string, Promise<void>>();
    this.asking.set(connection, asking);
    const asked = asking.get(uri)?.then(ask, ask) ?? ask();
    asking.set(uri, asked);
    const done = () => asking.get(uri) === asked && asking.delete(uri);
    asked.then(done, done);
    return asked;
  }
}
