// URIs that several servers offer: each can be read, none changes once a client saw it, and each names what its server knows.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildCatalog, type Catalog, type CatalogSource } from '../../src/catalog/catalog.ts';
import { NameBook, type NameStore } from '../../src/catalog/names.ts';
import { originalAt, readServerUri, uriAt } from '../../src/catalog/server-uris.ts';
import type { NameRow } from '../../src/catalog/store.ts';

function memory(): NameStore & { rows: NameRow[] } {
  const kept = { rows: [] as NameRow[], names: () => kept.rows, saveNames };
  function saveNames({ all }: { all: Iterable<NameRow> }) {
    kept.rows = [...all];
  }
  return kept;
}

function source(server: string, resources: readonly string[], templates: readonly string[] = []): CatalogSource {
  const resource = resources.map((uri) => ({ uri, name: 'r' }));
  const resourceTemplate = templates.map((uriTemplate) => ({ uriTemplate, name: 't' }));
  return {
    ...{ server, alias: server },
    offer: { capabilities: {}, entries: { tool: [], prompt: [], resource, resourceTemplate } },
  };
}

const nobody = { seen: () => undefined, permits: () => true };

function urisOf({ all }: Catalog, kind: 'resource' | 'resourceTemplate' = 'resource') {
  return all.lists[kind].entries.map(({ exposed }) => exposed);
}

/** Catalogs one after another, each seen by a client; `restart` begins with what is stored. */
function gatewayWith(store: NameStore) {
  let names = new NameBook(store);
  let shown: Catalog | undefined;
  return {
    show(...sources: CatalogSource[]) {
      shown = buildCatalog(sources, names, { shown });
      names.keepUris(shown.chosen);
      return shown;
    },
    restart: () => {
      names = new NameBook(store);
      shown = undefined;
    },
  };
}

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const uri = fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.string({ minLength: 1 }));

test('a URI that names its server leads back to the server and the original, and is a URI where the original is one', () => {
  fc.assert(
    fc.property(name, uri, (server, original) => {
      const named = uriAt(server, original);

      expect(readServerUri(named)).toEqual({ server, original });
      expect(originalAt(server, named)).toBe(original);
      expect(originalAt(`${server}x`, named)).toBeUndefined();
      expect(readServerUri(original)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(name, fc.webUrl({ withQueryParameters: true }), (server, original) => {
      expect(URL.canParse(uriAt(server, original))).toBe(true);
    }),
  );
});

test.each(['mcp-gateway://', 'mcp-gateway:///x', 'mcp-gateway://a', 'mcp-gateway://a/', 'mcp-gateway://%ff/x'])(
  '%s names no server',
  (each) => expect(readServerUri(each)).toBeUndefined(),
);

const SERVERS = ['a', 'b', 'c'];
const offers = fc.array(
  fc.tuple(
    fc.uniqueArray(fc.constantFrom('x://1', 'x://2', 'X://1', 'mcp-gateway://b/x://1', 'y:z'), { maxLength: 4 }),
    fc.uniqueArray(fc.constantFrom('x://{id}', 'y:{+id}', '{+all}'), { maxLength: 3 }),
  ),
  { minLength: 3, maxLength: 3 },
);

test('each listed URI is listed once, and leads to its server with the original', () => {
  fc.assert(
    fc.property(offers, (all) => {
      const catalog = gatewayWith(memory()).show(...all.map((each, at) => source(SERVERS[at] ?? '', ...each)));

      for (const kind of ['resource', 'resourceTemplate'] as const) {
        const { entries } = catalog.all.lists[kind];
        expect(new Set(urisOf(catalog, kind)).size).toBe(entries.length);
        for (const { server, exposed, original } of entries) {
          const found = kind === 'resource' ? catalog.all.findUri(exposed, nobody) : catalog.all.find(kind, exposed);
          expect(found).toMatchObject({ server, exposed, original });
          if (kind === 'resource') expect(catalog.all.uriOf(server, original, () => undefined)).toBe(exposed);
        }
      }
    }),
  );
});

test('no server that is added, and no restart, changes a URI that a client saw', () => {
  fc.assert(
    fc.property(offers, fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), (all, order) => {
      const store = memory();
      const gateway = gatewayWith(store);
      const before = new Map<string, string>();
      for (let count = 1; count <= 3; count++) {
        const present = order.slice(0, count).sort(); // each stands before those that follow in the configuration
        const sources = present.map((at) => source(SERVERS[at] ?? '', ...(all[at] ?? [[], []])));
        for (const again of [false, true]) {
          if (again && count === 3) gateway.restart();
          const { lists } = gateway.show(...sources).all;
          for (const { kind, server, exposed, original } of [
            ...lists.resource.entries,
            ...lists.resourceTemplate.entries,
          ]) {
            const key = `${kind} ${server} ${original}`;
            expect(exposed).toBe(before.get(key) ?? exposed);
            before.set(key, exposed);
          }
        }
      }
    }),
  );
});

test('a URI expanded from the template of a later server leads to that server', () => {
  const catalog = gatewayWith(memory()).show(source('a', [], ['x://{id}']), source('b', [], ['x://{id}']));

  expect(urisOf(catalog, 'resourceTemplate')).toEqual(['x://{id}', 'mcp-gateway://b/x://{id}']);
  expect(catalog.all.findUri('x://1', nobody)).toMatchObject({ server: 'a', original: 'x://1' });
  expect(catalog.all.findUri('mcp-gateway://b/x://1', nobody)).toMatchObject({ server: 'b', original: 'x://1' });
  expect(catalog.all.findUri('mcp-gateway://b/y://1', nobody)).toBeUndefined();
  expect(catalog.all.findUri('mcp-gateway://c/x://1', nobody)).toBeUndefined();
  expect(catalog.all.uriOf('a', 'x://7', () => undefined)).toBe('x://7');
  expect(catalog.all.uriOf('b', 'x://7', () => undefined)).toBe('mcp-gateway://b/x://7');
});

test('on the URL of one server it shows the originals, also of a server that is a gateway itself', () => {
  const original = 'mcp-gateway://b/x://1';
  const catalog = gatewayWith(memory()).show(source('a', [original, 'x://1']), source('b', ['x://1']));
  const own = catalog.server('a');

  expect(urisOf(catalog)).toEqual([`mcp-gateway://a/${original}`, 'x://1', 'mcp-gateway://b/x://1']);
  expect(catalog.all.findUri('mcp-gateway://b/x://1', nobody)).toMatchObject({ server: 'b', original: 'x://1' });
  expect(own?.lists.resource.entries.map(({ exposed }) => exposed)).toEqual([original, 'x://1']);
  expect(own?.findUri(original, nobody)).toMatchObject({ server: 'a', original });
  expect(own?.uriOf('a', original, () => undefined)).toBe(original);
});

test('a URI that one server alone offers is not stored', () => {
  const store = memory();
  gatewayWith(store).show(source('a', ['x://1', 'x://2']), source('b', ['x://2']));

  expect(store.rows).toEqual([
    { kind: 'resource', server: 'a', original: 'x://2', exposed: 'x://2' },
    { kind: 'resource', server: 'b', original: 'x://2', exposed: 'mcp-gateway://b/x://2' },
  ]);
});

test('a link leads to the server that shows it, whoever else lists or showed the URI', () => {
  const catalog = gatewayWith(memory()).show(source('a', ['x://1', 'x://2']), source('b', ['x://1']));
  const link = (server: string, original: string, seen?: string) => catalog.all.uriOf(server, original, () => seen);

  expect(link('b', 'x://1')).toBe('mcp-gateway://b/x://1');
  expect(link('b', 'x://2')).toBe('mcp-gateway://b/x://2');
  expect(link('b', 'x://3')).toBe('x://3');
  expect(link('b', 'x://3', 'b')).toBe('x://3');
  expect(link('b', 'x://3', 'a')).toBe('mcp-gateway://b/x://3');
  expect(link('a', 'x://1', 'b')).toBe('x://1');
});
