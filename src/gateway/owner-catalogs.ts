// The catalogs of callers to whom a server offers something else than to everybody: built when they are needed, and not kept without end.
import type { Catalog } from '../catalog/catalog.ts';

/** Most that are kept; one more takes the place of the one that was not used for longest. */
const MAX_KEPT = 100;

export class OwnerCatalogs {
  private readonly catalogs = new Map<string, Catalog>();

  /** The catalog of a key, which `build` makes where it is not kept. */
  get(key: string, build: () => Catalog): Catalog {
    const catalog = this.catalogs.get(key) ?? build();
    this.catalogs.delete(key);
    this.catalogs.set(key, catalog);
    const [oldest] = this.catalogs.size > MAX_KEPT ? this.catalogs.keys() : [];
    if (oldest !== undefined) this.catalogs.delete(oldest);
    return catalog;
  }

  clear(): void {
    this.catalogs.clear();
  }
}
