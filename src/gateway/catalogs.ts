// The catalogs of one moment: everybody's, and those of callers to whom a server offers something else.
import { buildCatalog, type Catalog } from '../catalog/catalog.ts';
import type { NameBook } from '../catalog/names.ts';
import type { CallerFacts } from '../upstream/mcp/instances/affinity.ts';
import { OwnerCatalogs } from './owner-catalogs.ts';
import type { Upstreams } from './upstreams.ts';

export class Catalogs {
  /** That of everybody to whom nothing else is offered. */
  readonly all: Catalog;
  /** Whether lists vary from caller to caller. */
  readonly vary: boolean;
  private readonly upstreams: Upstreams;
  private readonly names: NameBook;
  private readonly owned = new OwnerCatalogs();

  /** `all` where that is known already. */
  constructor(upstreams: Upstreams, names: NameBook, all?: Catalog) {
    this.upstreams = upstreams;
    this.names = names;
    this.all = all ?? buildCatalog(upstreams.sources(), names);
    this.vary = upstreams.all().some((upstream) => upstream.hasOwnerOffers);
  }

  of(caller: CallerFacts): Catalog {
    const own = this.vary ? this.upstreams.ownerSources(caller) : undefined;
    if (!own) return this.all;
    return this.owned.get(own.key, () => buildCatalog(own.sources(), this.names));
  }
}
