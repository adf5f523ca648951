// The catalogs in force: everybody's, and those of callers to whom a server offers something else.
import { buildCatalog, type Catalog } from '../catalog/catalog.ts';
import { NameBook } from '../catalog/names.ts';
import type { ServerOffer } from '../catalog/offer.ts';
import type { CatalogStore, StoredOffer } from '../catalog/store.ts';
import { OFFER_KINDS, type OfferKind } from '../core/call.ts';
import type { JsonObject } from '../core/json.ts';
import type { ServerKey } from '../storage/server-key.ts';
import type { OfferListener } from '../upstream/mcp/context.ts';
import type { CallerFacts } from '../upstream/mcp/instances/affinity.ts';
import type { Changes } from './changes.ts';
import { OwnerCatalogs } from './owner-catalogs.ts';
import type { Upstreams } from './upstreams.ts';

export interface CatalogsParts {
  readonly upstreams: Upstreams;
  readonly store: CatalogStore;
  readonly changes: Changes;
}

export class Catalogs implements OfferListener {
  private readonly parts: CatalogsParts;
  private readonly names: NameBook;
  private readonly own = new OwnerCatalogs();
  private current: Catalog;
  private anyOwn = false;

  constructor(parts: CatalogsParts) {
    this.parts = parts;
    this.names = new NameBook(parts.store);
    this.current = this.build();
  }

  /** That of everybody to whom nothing else is offered. */
  get all(): Catalog {
    return this.current;
  }

  /** Whether lists vary from caller to caller. */
  get vary(): boolean {
    return this.anyOwn;
  }

  of(caller: CallerFacts): Catalog {
    const own = this.anyOwn ? this.parts.upstreams.ownerSources(caller) : undefined;
    if (!own) return this.current;
    return this.own.get(own.key, () => buildCatalog(own.sources(), this.names));
  }

  /** The servers, or how they are shown, are others now. */
  rebuild(): void {
    this.current = this.build();
    this.own.clear();
  }

  /** A server offers something else to one owner than to everybody, or no longer does. */
  ownerOfferChanged(server: string, owner: string, kinds: readonly OfferKind[]): void {
    const { upstreams, changes } = this.parts;
    this.own.clear();
    this.anyOwn = upstreams.all().some((upstream) => upstream.hasOwnerOffers);
    changes.listsChanged(server, kinds, owner);
  }

  /** A server's offer was read; that of an upstream which was replaced meanwhile is ignored. */
  offerChanged(key: ServerKey, stored: StoredOffer): void {
    const { upstreams, store, changes } = this.parts;
    const { server, digest } = key;
    if (upstreams.get(server)?.config.digest !== digest) return;
    const before = this.current.server(server)?.lists;
    store.saveOffer(key, stored);
    this.rebuild();
    changes.listsChanged(
      server,
      OFFER_KINDS.filter(
        (kind) => !sameEntries(before?.[kind].map((entry) => entry.definition) ?? [], stored.offer, kind),
      ),
    );
  }

  private build(): Catalog {
    return buildCatalog(this.parts.upstreams.sources(), this.names);
  }
}

function sameEntries(before: readonly JsonObject[], after: ServerOffer, kind: OfferKind): boolean {
  return JSON.stringify(before) === JSON.stringify(after.entries[kind]);
}
