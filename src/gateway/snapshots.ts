// The snapshot in force (configuration, policy, catalogs), which a reload and a changed offer replace.
import { buildCatalog, type Catalog, type CatalogSource, type OfferChecks } from '../catalog/catalog.ts';
import { NameBook } from '../catalog/names.ts';
import type { CatalogStore, StoredOffer } from '../catalog/store.ts';
import { type CallerFacts, type OfferKind, serverOf } from '../core/call.ts';
import type { CallRules } from '../core/call-context.ts';
import type { Decidable } from '../core/decision.ts';
import type { OfferedList } from '../core/reply.ts';
import type { Config } from '../config/config.ts';
import type { EraKey } from '../storage/server-key.ts';
import type { OfferListener } from '../upstream/mcp/context.ts';
import type { Audience, Changes } from './changes.ts';
import type { Upstreams } from './upstreams.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { eraAudience, type InstanceCaller } from '../upstream/mcp/instances/affinity.ts';
import { type Authenticate, compileAuthentication } from '../identity/authenticate.ts';
import { RELEASING_METHODS } from '../protocol/mcp/vocabulary.ts';
import { compilePolicy, isUnrestricted, type Policy, rulesOfServer } from '../policy/policy.ts';

export interface SnapshotsParts {
  readonly upstreams: Upstreams;
  readonly store: CatalogStore;
  readonly changes: Changes;
}

export class Snapshots implements OfferListener {
  current: Snapshot;
  private readonly parts: SnapshotsParts;
  private readonly build: CatalogBuilder;
  private readonly names: NameBook;
  /** The catalog whose lists a client saw last. */
  private shown: Catalog | undefined;

  constructor(config: Config, parts: SnapshotsParts) {
    this.parts = parts;
    const names = new NameBook(parts.store);
    const checks: OfferChecks = new WeakMap();
    this.names = names;
    this.build = (sources) => buildCatalog(sources, names, { checks, shown: this.shown });
    this.current = this.with(compile(config));
    this.shown = this.current.catalogs.all; // what earlier runs read
  }

  /** Called when a client sees a list of the catalog: who shows a URI that several servers offer stays so from then on. */
  show(catalog: Catalog): void {
    if (catalog === this.shown) return;
    this.shown = catalog;
    this.names.keepUris(catalog.chosen);
  }

  /** The policy for one caller under the snapshot in force, and the hash of its configuration. */
  rulesFor(facts: CallerFacts): CallRules {
    const { policy, config } = this.current;
    return { policy: policy.viewFor(facts), config: config.hash };
  }

  /** Whether policy now permits a target to a caller: checked again for each notification, because the caller may have subscribed under an earlier snapshot. */
  permits(facts: CallerFacts, target: Decidable): boolean {
    return this.rulesFor(facts).policy.permits(target);
  }

  /** Puts a configuration in force, after `Upstreams.apply` has replaced the servers that it changes. */
  apply(compiled: Compiled): void {
    this.current = this.with(compiled);
  }

  /** Called when what an audience is offered begins or ceases to differ from what everybody is offered. */
  ownerOfferChanged(server: string, audience: string, kinds: readonly OfferKind[]): void {
    this.current = this.with(this.current, this.current.catalogs.all);
    this.parts.changes.listsChanged(server, kinds, { owner: audience });
  }

  /** Called when the offer of a server in one era was read. Ignored where a reload has replaced the server since. */
  offerChanged(key: EraKey, stored: StoredOffer, kinds: readonly OfferKind[]): void {
    const { upstreams, store, changes } = this.parts;
    const { server, digest, era } = key;
    const upstream = upstreams.get(server);
    if (upstream?.config.digest !== digest) return;
    store.saveOffer(key, stored);
    const before = this.current.catalogs.all;
    this.current = this.with(this.current);
    const isSeenBy = this.differenceOf(before, this.current.catalogs.all);
    changes.listsChanged(server, kinds, upstream.isDual ? { owner: eraAudience(era) } : { isSeenBy });
  }

  /** Returns whether a list of two catalogs differs for a caller: it hears nothing of changes to what policy denies it. */
  private differenceOf(before: Catalog, after: Catalog): NonNullable<Audience['isSeenBy']> {
    const texts = new Map<OfferedList, string>(); // callers share lists
    return (caller, kind) => {
      const { policy } = this.rulesFor(caller);
      const server = serverOf(caller.endpoint);
      const [one, other] = [before, after].map((catalog) => {
        const view = server === undefined ? catalog.all : catalog.server(server);
        const list = view && policy.visible(view.lists[kind]);
        if (list && !texts.has(list)) texts.set(list, JSON.stringify(list.entries));
        return list && texts.get(list);
      });
      return one !== other;
    };
  }

  private with(compiled: Compiled, all?: Catalog): Snapshot {
    return Object.freeze({ ...compiled, catalogs: new Catalogs(this.parts.upstreams, this.build, all) });
  }
}

type CatalogBuilder = (sources: readonly CatalogSource[]) => Catalog;

export class Catalogs {
  /** The catalog of all callers to whom no server offers something else. */
  readonly all: Catalog;
  /** Whether a server offers single owners something else than everybody. */
  readonly areOwned: boolean;
  /** Whether lists differ from caller to caller. */
  private readonly vary: boolean;
  private readonly upstreams: Upstreams;
  private readonly build: CatalogBuilder;
  /** Built when a caller needs one. */
  private readonly owned = new BoundedMap<string, Catalog>({ most: BOUNDS.ownerCatalogs });

  /** `all`: the common catalog, where it is built already. */
  constructor(upstreams: Upstreams, build: CatalogBuilder, all?: Catalog) {
    this.upstreams = upstreams;
    this.build = build;
    this.all = all ?? build(upstreams.sources());
    this.areOwned = upstreams.all().some((upstream) => upstream.hasOwnerOffers);
    this.vary = this.areOwned || upstreams.all().some((upstream) => upstream.hasEraOffers);
  }

  /** The catalog of one caller. */
  of(caller: InstanceCaller): Catalog {
    const own = this.vary ? this.upstreams.ownerSources(caller) : undefined;
    if (!own) return this.all;
    const catalog = this.owned.get(own.key) ?? this.build(own.sources());
    this.owned.set(own.key, catalog); // the one that was not used for longest is evicted first
    return catalog;
  }
}

/** A configuration with what is compiled of it once. */
export interface Compiled {
  readonly config: Config;
  readonly policy: Policy;
  readonly authenticate: Authenticate;
  /** Whether lists depend on the caller or on patterns of the operator, so that no cache may share them (wire.md, What the gateway offers). */
  readonly privateLists: boolean;
}

/** Immutable: each reload and each changed offer makes another one. */
export interface Snapshot extends Compiled {
  readonly catalogs: Catalogs;
}

export function compile(config: Config): Compiled {
  return {
    config,
    policy: compilePolicy(config.servers.flatMap(rulesOfServer), { releases: RELEASING_METHODS }),
    authenticate: compileAuthentication(config.auth.tokens),
    privateLists: config.auth.tokens.length > 0 || !config.servers.every(offersEverything),
  };
}

function offersEverything({ tools, prompts, resources }: Config['servers'][number]): boolean {
  return [tools, prompts, resources].every(isUnrestricted);
}
