// Catalogs of single callers: built once for all who are offered the same, and not more of them than are of use.
import { expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { OwnerCatalogs } from '../../src/gateway/owner-catalogs.ts';

test('a hundred are kept; one more takes the place of the one that was not used for longest', () => {
  const catalogs = new OwnerCatalogs();
  const built: string[] = [];
  const get = (key: string) =>
    catalogs.get(key, () => {
      built.push(key);
      return { version: key } as Catalog;
    });
  for (let key = 0; key < 100; key++) get(`${key}`);
  expect(get('0').version).toBe('0');
  get('more');
  get('0');
  get('1');
  expect(built.slice(100)).toEqual(['more', '1']);
  catalogs.clear();
  get('0');

  expect(built.at(-1)).toBe('0');
});
