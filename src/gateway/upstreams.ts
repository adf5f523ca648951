// The configured servers as running things: started, compared with a new configuration, drained, stopped.
import { setTimeout as delay } from 'node:timers/promises';
import type { CatalogSource } from '../catalog/catalog.ts';
import { originalBehind } from '../catalog/names.ts';
import type { ServerOffer } from '../catalog/offer.ts';
import type { CatalogStore } from '../catalog/store.ts';
import type { Config, ServerConfig } from '../config/config.ts';
import { diffServers } from '../config/diff.ts';
import type { OfferKind, Target } from '../core/call.ts';
import type { CallerFacts } from '../upstream/mcp/instances/affinity.ts';
import type { UpstreamContext } from '../upstream/mcp/context.ts';
import type { OwnerOffer } from '../upstream/mcp/offer/owner-listings.ts';
import { Upstream } from '../upstream/mcp/upstream.ts';
import { isProcess } from './confined-servers.ts';

export type { CallerFacts };

/** How long a replaced server may finish its calls. */
const DRAIN_MS = 10_000;

/** How long a list waits for servers whose offer is read again. */
const FRESHEN_MS = 2_000;

/** Which servers a new configuration touches. */
export interface Applied {
  readonly touched: readonly string[];
}

export class Upstreams {
  private readonly context: UpstreamContext;
  private readonly store: CatalogStore;
  private readonly starts = new Map<string, number>();
  private current = new Map<string, Upstream>();
  private readonly draining = new Set<Promise<void>>();
  private resting = false;
  /** Whether there may be processes of servers, now or still. */
  startsProcesses = false;

  constructor(context: Omit<UpstreamContext, 'nextInstance'>, store: CatalogStore) {
    this.context = { ...context, nextInstance: (server) => this.nextInstance(server) };
    this.store = store;
  }

  get(name: string): Upstream | undefined {
    return this.current.get(name);
  }

  all(): Upstream[] {
    return [...this.current.values()];
  }

  /** What the catalog is built of, in configured order. */
  sources(): CatalogSource[] {
    return this.all().map((upstream) => sourceOf(upstream));
  }

  /** What one caller's catalog is built of, where servers offer it something else than everybody; `key` names exactly that, for all who are offered the same. */
  ownSources(caller: CallerFacts): { sources: () => CatalogSource[]; key: string } | undefined {
    const own = new Map<Upstream, OwnerOffer>();
    for (const upstream of this.current.values()) {
      const offer = upstream.hasOwnOffers ? upstream.ownOffer(caller) : undefined;
      if (offer) own.set(upstream, offer);
    }
    if (own.size === 0) return undefined;
    return {
      sources: () => this.all().map((upstream) => sourceOf(upstream, own.get(upstream)?.offer)),
      key: [...own].map(([{ config }, { digest }]) => `${config.name}\n${digest}`).join('\n'),
    };
  }

  /** One server's part of the catalog, if it can be used. */
  usableSource(name: string): CatalogSource | undefined {
    const upstream = this.current.get(name);
    return upstream && !upstream.config.disabled && upstream.config.problem === undefined
      ? sourceOf(upstream)
      : undefined;
  }

  /** Where a name that is not offered may lead: to servers that have never answered, as its endpoint or its first part says. */
  pendingDiscovery({ kind, requested }: { kind: OfferKind; requested: string }, scope: string | undefined): Target[] {
    const asked = scope === undefined ? this.all() : [this.current.get(scope)];
    return asked.flatMap((upstream) => {
      if (upstream?.isPendingDiscovery !== true) return [];
      const { name: server, alias } = upstream.config;
      const isNamed = kind === 'tool' || kind === 'prompt';
      const original = scope !== undefined ? requested : isNamed ? originalBehind(alias, requested) : undefined;
      return original === undefined ? [] : [{ kind, server, exposed: requested, original, pendingDiscovery: true }];
    });
  }

  /** Makes the running servers those of `config`; only what changed is restarted, and what is replaced may finish its calls. */
  apply(config: Config): Applied {
    const before = this.all().map((upstream) => upstream.config);
    const { added, removed, changed } = diffServers(before, config.servers);
    const kept = new Map(this.current);
    for (const { name } of [...removed, ...changed]) {
      const gone = kept.get(name);
      kept.delete(name);
      if (gone) this.drain(gone);
    }
    const next = new Map<string, Upstream>();
    for (const server of config.servers)
      next.set(server.name, kept.get(server.name)?.reconfigured(server) ?? this.create(server));
    // who follows resources goes on with them at the server that comes instead (wire.md, Subscriptions and notifications)
    for (const { name } of changed) next.get(name)?.followed.takeOver(this.current.get(name)?.followed.release() ?? []);
    this.current = next;
    this.startsProcesses ||= config.servers.some(isProcess);
    return { touched: [...added, ...removed, ...changed].map((server) => server.name) };
  }

  /** Starts what is not running yet. */
  start(): void {
    if (this.resting) return;
    for (const upstream of this.current.values()) upstream.start();
  }

  /**
   * A promise if what is known of the servers (of one of them) may not be all: one is being met for the first time, or may have changed
   * without a word (2026-07-28 server/utilities/caching). Resolves in at most 2 s, or 10 s on a first sight; what is known by then has to do.
   */
  upToDate(scope?: string): Promise<void> | undefined {
    const reading: Promise<void>[] = [];
    for (const upstream of this.asked(scope)) {
      const read = upstream.freshen();
      if (read) reading.push(read);
    }
    const meeting = this.firstSight(scope);
    if (reading.length === 0) return meeting;
    const read = Promise.race([Promise.all(reading), delay(FRESHEN_MS, undefined, { ref: false })]);
    return Promise.all([read, meeting]).then(() => undefined);
  }

  /**
   * A promise if there is a server that was never seen and is still being met for the first time (wire.md, What the gateway offers). One
   * that is known delays nobody, however slow it is.
   */
  firstSight(scope?: string): Promise<void> | undefined {
    const meeting: Promise<void>[] = [];
    for (const upstream of this.asked(scope)) {
      const met = upstream.seen ? undefined : upstream.meeting();
      if (met) meeting.push(met);
    }
    return meeting.length === 0 ? undefined : Promise.all(meeting).then(() => undefined);
  }

  private asked(scope: string | undefined): Iterable<Upstream> {
    if (scope === undefined) return this.current.values();
    const upstream = this.current.get(scope);
    return upstream ? [upstream] : [];
  }

  /** Starts nothing any more that no call waits for; `stop` follows. */
  quiesce(): void {
    this.resting = true;
    for (const upstream of this.current.values()) upstream.quiesce();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.all().map((upstream) => upstream.stop()), ...this.draining]);
  }

  /** Counted here, so that the instances of a server that is replaced are not taken for those of the one before. */
  private nextInstance(server: string): string {
    const start = (this.starts.get(server) ?? 0) + 1;
    this.starts.set(server, start);
    return `${server}#${start}`;
  }

  private create(server: ServerConfig): Upstream {
    const usable = !server.disabled && server.problem === undefined;
    return new Upstream(server, this.context, usable ? this.store.offer(server.name, server.digest) : undefined);
  }

  private drain(upstream: Upstream): void {
    const done = upstream.drain(DRAIN_MS).finally(() => this.draining.delete(done));
    this.draining.add(done);
  }
}

function sourceOf({ config, offer }: Upstream, own?: ServerOffer): CatalogSource {
  return { server: config.name, alias: config.alias, offer: own ?? offer };
}
