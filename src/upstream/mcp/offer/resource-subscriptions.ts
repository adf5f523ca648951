// Subscriptions to resources: one per resource at the server, on one connection at a time, made again on the next connection.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import type { CancelSignal } from '../../../core/cancellation.ts';
import { GatewayError } from '../../../core/errors.ts';
import { isObject } from '../../../core/json.ts';
import { resourcesAbove } from '../../../protocol/mcp/sub-resources.ts';
import type { Connection } from '../connect/connection.ts';
import type { InstanceCaller } from '../instances/affinity.ts';
import type { OfferWatch } from './offer-watch.ts';

/** Failures with which a server refuses; after any other the subscription is made again on the next connection. */
const REFUSALS = new Set<string>(['upstream_protocol', 'method_not_found']);

/** A session, or a listener of 2026-07-28, that follows resources. */
export interface Follower {
  /** Its name: it follows a resource once, however often it subscribes. */
  readonly key: string;
  readonly caller: InstanceCaller;
  /** Whether the policy in force lets it know that a resource changed. */
  mayHear(server: string, uri: string): boolean;
  /** Notifies it of a change to a resource that it follows, or to one below that. */
  updated(uri: string): void;
}

/** A resource and one of its followers. */
export interface Following {
  readonly uri: string;
  readonly follower: Follower;
}

/** A connection and the watch on it. */
export interface Live {
  readonly connection: Connection;
  readonly watch: OfferWatch;
  /** Notifies the followers as if the server had reported a change. */
  updated(uri: string): void;
}

interface Followed {
  readonly followers: Map<string, Follower>;
  /** Settles with the server's answer on the current connection, or on the last one. */
  ready: Promise<void>;
  /** Whether there was a connection before, so that a change may have been missed. */
  hadConnection: boolean;
}

/** The connection to a server, or the way to get one. */
interface Connecting {
  readonly current: Live | undefined;
  acquire(signal: CancelSignal): Promise<Live>;
}

export class ResourceSubscriptions {
  private readonly followed = new Map<string, Followed>();
  private readonly server: string;
  private readonly totalMs: number;
  /** The last request about each resource, by connection. */
  private readonly requests = new WeakMap<Connection, Map<string, Promise<void>>>();

  constructor(server: string, totalMs: number) {
    this.server = server;
    this.totalMs = totalMs;
  }

  /** How many resources are followed. */
  get size(): number {
    return this.followed.size;
  }

  /** Everybody who follows the resource, or one above it, and may hear of both; each once. */
  followersOf(uri: string): Iterable<Follower> {
    if (this.followed.size === 0) return [];
    const found = new Map<string, Follower>();
    for (const followed of [uri, ...resourcesAbove(uri)])
      for (const [key, follower] of this.followed.get(followed)?.followers ?? [])
        if (follower.mayHear(this.server, followed) && follower.mayHear(this.server, uri)) found.set(key, follower);
    return found.values();
  }

  /**
   * Follows a resource, and starts the server for it if necessary. If the server is down, the subscription is made when it is back. Throws
   * GatewayError if the server refuses it, or the caller gives up.
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

  /** Subscribes for the first follower; the others wait for the same answer. Throws GatewayError. */
  async add({ uri, follower }: Following, live: Live | undefined): Promise<void> {
    const known = this.followed.get(uri);
    if (known) {
      known.followers.set(follower.key, follower);
      // a modern server may grant less with each new `subscriptions/listen`
      if (live?.connection.era === 'modern') known.ready = this.subscribe(uri, live);
      return this.settled(uri, known);
    }
    if (this.followed.size >= BOUNDS.followedResources)
      throw new GatewayError(
        'overloaded',
        `The server "${this.server}" has ${BOUNDS.followedResources} followed resources already.`,
      );
    const ready = live ? this.subscribe(uri, live) : Promise.resolve();
    const entry = { followers: new Map([[follower.key, follower]]), ready, hadConnection: live !== undefined };
    this.followed.set(uri, entry);
    await this.settled(uri, entry);
  }

  /** Takes over a follower from the upstream that this one replaces. The next connection subscribes and notifies it of a change. */
  adopt({ uri, follower }: Following): void {
    const known = this.followed.get(uri);
    if (known) known.followers.set(follower.key, follower);
    else if (this.followed.size < BOUNDS.followedResources) {
      const followers = new Map([[follower.key, follower]]);
      this.followed.set(uri, { followers, ready: Promise.resolve(), hadConnection: true });
    }
  }

  /** Removes everything that is followed and returns it. */
  release(): Following[] {
    const all = [...this.followed].flatMap(([uri, { followers }]) =>
      [...followers.values()].map((follower) => ({ uri, follower })),
    );
    this.followed.clear();
    return all;
  }

  /** Removes a follower; without the last one the gateway unsubscribes at the server. */
  remove(uri: string, key: string, live: Live | undefined): void {
    const known = this.followed.get(uri);
    if (!known?.followers.delete(key) || known.followers.size > 0) return;
    this.followed.delete(uri);
    // if it fails, the server's notifications find no follower
    if (live) this.inTurn(uri, live, () => this.unsubscribe(uri, live)).catch(() => undefined);
  }

  /** Subscribes again on a new connection, and notifies of a change, since one may have been missed in between. Never throws. */
  async resume(live: Live): Promise<void> {
    const made = [...this.followed].map(async ([uri, entry]) => {
      entry.ready = this.subscribe(uri, live);
      try {
        await entry.ready;
        if (entry.hadConnection && this.followed.get(uri) === entry) live.updated(uri);
        entry.hadConnection = true;
      } catch (error) {
        if (error instanceof GatewayError && REFUSALS.has(error.code)) this.drop(uri, entry);
      }
    });
    await Promise.all(made);
  }

  /** Waits for the server's answer. A resource that it refuses is not followed. */
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
        `The server "${this.server}" refused the subscription: ${error.message.slice(0, BOUNDS.quotedValue)}`,
      );
  }

  /** Sends a request after the answer to the last one about the same resource: over HTTP the later request may arrive first. */
  private inTurn(uri: string, { connection }: Live, send: () => Promise<void>): Promise<void> {
    const requests = this.requests.get(connection) ?? new Map<string, Promise<void>>();
    this.requests.set(connection, requests);
    const answered = requests.get(uri)?.then(send, send) ?? send();
    requests.set(uri, answered);
    const done = () => requests.get(uri) === answered && requests.delete(uri);
    answered.then(done, done);
    return answered;
  }
}
