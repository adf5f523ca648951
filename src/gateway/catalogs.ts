// The catalogs of a snapshot: the common one, and one for each group of callers to whom a server offers something else.
import { buildCatalog, type Catalog } from '../catalog/catalog.ts';
import type { NameBook } from '../catalog/names.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { CallerFacts } from '../upstream/mcp/instances/affinity.ts';
import type { Upstreams } from './upstreams.ts';

export class Catalogs {
  /** The catalog of all callers to whom no server offers something else. */
  readonly all: Catalog;
  /** Whether lists differ from caller to caller. */
  readonly vary: boolean;
  private readonly upstreams: Upstreams;
  private readonly names: NameBook;
  /** Built when a caller needs one. */
  private readonly owned = new BoundedMap<string, Catalog>({ most: BOUNDS.ownerCatalogs });

  /** `all`: the common catalog, where it is built already. */
  constructor(upstreams: Upstreams, names: NameBook, all?: Catalog) {
    this.upstreams = upstreams;
    this.names = names;
    this.all = all ?? buildCatalog(upstreams.sources(), names);
    this.vary = upstreams.all().some((upstream) => upstream.hasOwnerOffers);
  }

  /** The catalog of one caller. */
  of(caller: CallerFacts): Catalog {
    const own = this.vary ? this.upstreams.ownerSources(caller) : undefined;
    if (!own) return this.all;
    const catalog = this.owned.get(own.key) ?? buildCatalog(own.sources(), this.names);
    this.owned.set(own.key, catalog); // the one that was not used for longest is evicted first
    return catalog;
  }
}
