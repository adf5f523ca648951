// Starts, replaces, drains and stops the upstreams of all configured servers.
import type { CatalogSource } from '../catalog/catalog.ts';
import { originalBehind } from '../catalog/names.ts';
import { originalAt } from '../catalog/server-uris.ts';
import type { Config } from '../config/config.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { diffServers } from '../config/diff.ts';
import type { Era, OfferKind, Target } from '../core/call.ts';
import type { PolicyView } from '../core/decision.ts';
import { within } from '../core/cancellation.ts';
import type { InstanceCaller } from '../upstream/mcp/instances/affinity.ts';
import type { InstanceIds, UpstreamContext } from '../upstream/mcp/context.ts';
import type { OwnerOffer } from '../upstream/mcp/offer/owner-listings.ts';
import { Upstream } from '../upstream/mcp/upstream.ts';
import { type ConfinedServers, isProcess } from './confined-servers.ts';
import { Deadlines } from '../upstream/mcp/wire/pending.ts';
import { LearnedStore } from '../upstream/mcp/learned-store.ts';
import type { GatewayOptions } from './compose.ts';
import type { Snapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';
import type { Tasks } from './tasks/tasks.ts';

export interface UpstreamsParts {
  readonly storage: Storage;
  readonly confined: ConfinedServers;
  readonly tasks: Tasks;
  /** The listener of changed offers; called only after `Snapshots` was made. */
  readonly offers: () => Snapshots;
}

export class Upstreams {
  private readonly context: UpstreamContext;
  private current = new Map<string, Upstream>();
  private readonly draining = new Set<Promise<void>>();
  private quiesced = false;
  /** Whether a configuration had a server over stdio, so that processes of servers may run. */
  startsProcesses = false;

  /** Makes an upstream for every server of the configuration. Starts none. */
  constructor(
    { config, env, identity, watcher }: GatewayOptions,
    { storage, confined, tasks, offers }: UpstreamsParts,
  ) {
    this.context = {
      client: identity,
      deadlines: new Deadlines(),
      learned: new LearnedStore(storage.state),
      catalog: storage.catalog,
      maxMessageBytes: config.limits.upstreamMessage,
      maxItems: config.limits.items,
      env,
      containment: confined.containment,
      instanceIds: new StartCounts(),
      events: storage.events,
      offers: {
        offerChanged: (key, stored, kinds) => offers().offerChanged(key, stored, kinds),
        ownerOfferChanged: (server, audience, kinds) => offers().ownerOfferChanged(server, audience, kinds),
      },
      tasks: tasks.registry,
      states: watcher,
    };
    this.apply(config);
  }

  get(name: string): Upstream | undefined {
    return this.current.get(name);
  }

  all(): Upstream[] {
    return [...this.current.values()];
  }

  /** The sources of the common catalog, in the order of the configuration. */
  sources(): CatalogSource[] {
    return this.all().map((upstream) => sourceOf(upstream));
  }

  /** The sources of one caller's catalog, if a server offers it something else than everybody. Callers with the same offers have the same `key`. */
  ownerSources(caller: InstanceCaller): { sources: () => CatalogSource[]; key: string } | undefined {
    const own = new Map<Upstream, OwnerOffer>();
    for (const upstream of this.current.values()) {
      const offer = upstream.hasOwnerOffers || upstream.hasEraOffers ? upstream.ownOffer(caller) : undefined;
      if (offer) own.set(upstream, offer);
    }
    if (own.size === 0) return undefined;
    return {
      sources: () => this.all().map((upstream) => sourceOf(upstream, own.get(upstream)?.offer)),
      key: [...own].map(([{ config }, { digest }]) => `${config.name}\n${digest}`).join('\n'),
    };
  }

  /** The source of one server for callers of an era, unless its entry is disabled or has a problem. */
  usableSource(name: string, era: Era): CatalogSource | undefined {
    const upstream = this.current.get(name);
    return upstream && !upstream.config.disabled && upstream.config.problem === undefined
      ? sourceOf(upstream, upstream.offerIn(era))
      : undefined;
  }

  /**
   * The target that an unknown name may have: at a server that never answered, if the endpoint or the prefix of the name names that server.
   * Of several, one that policy permits.
   */
  pendingDiscovery(
    { kind, requested }: { readonly kind: OfferKind; readonly requested: string },
    policy: PolicyView,
    scope?: string,
  ): Target | undefined {
    const isNamed = kind === 'tool' || kind === 'prompt';
    const found = [...this.within(scope)].flatMap((upstream): Target[] => {
      if (!upstream.isPendingDiscovery) return [];
      const { name: server, alias } = upstream.config;
      const original =
        scope !== undefined ? requested : isNamed ? originalBehind(alias, requested) : originalAt(server, requested);
      return original === undefined ? [] : [{ kind, server, exposed: requested, original, pendingDiscovery: true }];
    });
    return found.find((target) => policy.permits(target)) ?? found[0];
  }

  /** Ends a subscription of a session or listener. */
  unfollow(target: Target, holder: string): void {
    this.current.get(target.server)?.unfollow(target.original, followerKey(target, holder));
  }

  /** Replaces the upstreams of entries that changed, and drains the old ones. All others keep running. Returns the servers that were added, removed or changed. */
  apply(config: Config): string[] {
    const before = this.all().map((upstream) => upstream.config);
    const { added, removed, changed } = diffServers(before, config.servers);
    const kept = new Map(this.current);
    for (const { name } of [...removed, ...changed]) {
      const replaced = kept.get(name);
      kept.delete(name);
      if (replaced) this.drain(replaced);
    }
    const next = new Map<string, Upstream>();
    for (const server of config.servers)
      next.set(server.name, kept.get(server.name)?.reconfigured(server) ?? new Upstream(server, this.context));
    // subscriptions to resources move to the new upstream (wire.md, Subscriptions and notifications)
    for (const { name } of changed) {
      const replaced = this.current.get(name);
      if (replaced) next.get(name)?.takeOver(replaced);
    }
    this.current = next;
    this.startsProcesses ||= config.servers.some(isProcess);
    return [...added, ...removed, ...changed].map((server) => server.name);
  }

  /** Starts every upstream that is not started yet. */
  start(): void {
    if (this.quiesced) return;
    for (const upstream of this.current.values()) upstream.start();
  }

  /**
   * For a list that a caller of an era asks for: a promise if a known offer may be out of date: a server is being connected for the first time, or its offer may have changed without
   * a notification (2026-07-28 server/utilities/caching). Resolves when the offers were read, or took too long.
   */
  upToDate(era: Era, scope?: string): Promise<void> | undefined {
    const reading: Promise<void>[] = [];
    const waits: Promise<unknown>[] = [];
    const now = performance.now(); // once for all, since a list asks every server
    for (const upstream of this.within(scope)) {
      const read = upstream.freshen(era, now);
      if (read) reading.push(read);
      const first = upstream.seen ? undefined : upstream.firstConnection();
      if (first) waits.push(first);
    }
    if (reading.length > 0) waits.push(within(Promise.all(reading), BOUNDS.listFreshening));
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  /** All upstreams, or the one of an endpoint of a single server. */
  private within(scope: string | undefined): Iterable<Upstream> {
    if (scope === undefined) return this.current.values();
    const upstream = this.current.get(scope);
    return upstream ? [upstream] : [];
  }

  /** Opens no more connections but those that a call waits for; `stop` follows. */
  quiesce(): void {
    this.quiesced = true;
    for (const upstream of this.current.values()) upstream.quiesce();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.all().map((upstream) => upstream.stop()), ...this.draining]);
  }

  private drain(upstream: Upstream): void {
    const done = upstream.drain(BOUNDS.replacedServerDrain).finally(() => this.draining.delete(done));
    this.draining.add(done);
  }
}

/** Numbers the instances of each server, also across the upstreams that replace each other, so that no id is used twice. */
class StartCounts implements InstanceIds {
  private readonly starts = new Map<string, number>();

  next(server: string): string {
    const start = (this.starts.get(server) ?? 0) + 1;
    this.starts.set(server, start);
    return `${server}#${start}`;
  }
}

function sourceOf({ config, offer }: Upstream, own?: CatalogSource['offer']): CatalogSource {
  return { server: config.name, alias: config.alias, offer: own ?? offer };
}

/** The key of a follower. A session may follow a resource under its own URI, and under the one that names its server. */
export function followerKey({ server, exposed, original }: Target, holder: string): string {
  return exposed === original ? holder : `${holder} ${server}`;
}
