// Where a URI leads: to whoever lists it, else to whoever showed it, else to the most specific template, else by configured order (wire.md, Resources).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildCatalog, type CatalogSource } from '../../src/catalog/catalog.ts';
import { NameBook } from '../../src/catalog/names.ts';
import { compileTemplate } from '../../src/catalog/uri-templates.ts';

const SERVERS = ['a', 'b', 'c'];

const uri = fc.constantFrom('x://1', 'x://2', 'x://1/2', 'y://1', 'y://', 'X://1', 'x://%31', '__proto__', 'x://{id}');
const template = fc.constantFrom('x://{id}', 'x://{+rest}', 'x://1/{id}', '{+all}', 'y://{id}', 'x://1');

const offer = fc.record({
  resources: fc.uniqueArray(uri, { maxLength: 4 }),
  templates: fc.uniqueArray(template, { maxLength: 3 }),
});

function catalogOf(offers: readonly { resources: string[]; templates: string[] }[]) {
  const sources = offers.map(({ resources, templates }, index): CatalogSource => {
    const server = SERVERS[index] ?? '';
    const entries = {
      tool: [],
      prompt: [],
      resource: resources.map((listed) => ({ uri: listed, name: listed })),
      resourceTemplate: templates.map((text) => ({ uriTemplate: text, name: text })),
    };
    return { server, alias: server, offer: { capabilities: {}, entries } };
  });
  return buildCatalog(sources, new NameBook({ names: () => [], saveNames: () => undefined }));
}

/** The rules, one after the other. */
function expected(
  offers: readonly { resources: string[]; templates: string[] }[],
  wanted: string,
  { seen, permitted }: { seen: string | undefined; permitted: ReadonlySet<string> },
): string | undefined {
  const listing = SERVERS.filter((_, index) => offers[index]?.resources.includes(wanted));
  if (listing.length > 0) return listing.find((server) => permitted.has(server)) ?? listing[0];
  if (seen !== undefined) return seen;
  const fits = offers.flatMap(({ templates }, index) =>
    templates.map(compileTemplate).flatMap(({ literals, matches }) => (matches(wanted) ? [{ index, literals }] : [])),
  );
  fits.sort((one, other) => other.literals - one.literals || one.index - other.index);
  const [best] = fits;
  return best && SERVERS[best.index];
}

test('a URI leads where the rules say, whoever offers what, and the same on the URL of one server', () => {
  fc.assert(
    fc.property(
      fc.array(offer, { minLength: 3, maxLength: 3 }),
      fc.oneof(uri, fc.string({ maxLength: 6 })),
      fc.tuple(fc.option(fc.constantFrom(...SERVERS), { nil: undefined }), fc.subarray(SERVERS)),
      (offers, wanted, [shown, allowed]) => {
        const catalog = catalogOf(offers);
        const permitted = new Set(allowed);
        const options = { seen: () => shown, permits: ({ server }: { server: string }) => permitted.has(server) };
        const found = catalog.all.findUri(wanted, options);

        expect(found?.server).toBe(expected(offers, wanted, { seen: shown, permitted }));
        if (found) expect(found).toMatchObject({ kind: 'resource', exposed: wanted, original: wanted });
        for (const [index, server] of SERVERS.entries()) {
          const alone = offers.map((each, at) => (at === index ? each : { resources: [], templates: [] }));
          const own = { ...options, seen: () => undefined };
          expect(catalog.server(server)?.findUri(wanted, own)?.server).toBe(
            expected(alone, wanted, { seen: undefined, permitted }),
          );
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
