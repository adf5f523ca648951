// Catalogs of single callers: built once for all callers with the same offers, and only so many are kept.
import { expect, test } from 'vitest';
import { buildCatalog, type Catalog } from '../../src/catalog/catalog.ts';
import { NameBook } from '../../src/catalog/names.ts';
import { BOUNDS } from '../../src/core/bounds/bounds.ts';
import type { Upstreams } from '../../src/gateway/upstreams.ts';
import type { InstanceCaller } from '../../src/upstream/mcp/instances/affinity.ts';
import { Catalogs } from '../../src/gateway/snapshots.ts';

test('one more than may be kept takes the place of the one that was not used for longest', () => {
  const built: string[] = [];
  const ownerSources = ({ principal: { id } }: InstanceCaller) =>
    id === 'common' ? undefined : { key: id, sources: () => (built.push(id), []) };
  const upstreams = { all: () => [{ hasOwnerOffers: true }], sources: () => [], ownerSources };
  const names = new NameBook({ names: () => [], saveNames: () => undefined });
  const catalogs = new Catalogs(upstreams as unknown as Upstreams, (sources) => buildCatalog(sources, names));
  const of = (id: string): Catalog => catalogs.of({ principal: { id } } as InstanceCaller);
  const kept = BOUNDS.ownerCatalogs;

  const first = Array.from({ length: kept }, (_, index) => of(`${index}`));
  expect(built).toHaveLength(kept);
  expect(of('common')).toBe(catalogs.all);
  expect(of('0')).toBe(first[0]);
  of('more');
  expect(of('0')).toBe(first[0]);
  expect(of('1')).not.toBe(first[1]);

  expect(built.slice(kept)).toEqual(['more', '1']);
});
