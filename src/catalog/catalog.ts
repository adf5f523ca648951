// The merged, immutable offer of all servers: what is listed, and where each name leads.
import { randomBytes } from 'node:crypto';
import { type OfferKind, type Target } from '../core/call.ts';
import { type JsonObject } from '../core/json.ts';
import { type Offered } from '../core/reply.ts';
import { type MirroredParam, readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { type NameBook } from './names.ts';
import { type ServerOffer } from './offer.ts';
import { compileTemplate, type UriTemplate } from './uri-templates.ts';

/** One server's part, in configured order. */
export interface CatalogSource {
  readonly server: string;
  readonly alias: string;
  readonly offer: ServerOffer;
}

const KINDS: readonly OfferKind[] = ['tool', 'prompt', 'resource', 'resourceTemplate'];

type Lists = Readonly<Record<OfferKind, readonly Offered[]>>;

/** What one endpoint shows: everything, or one server under its own names. */
export interface View {
  readonly lists: Lists;
  find(kind: OfferKind, exposed: string): Target | undefined;
  /** Routes a URI that is listed, or else that a template matches; `seen` is asked in between (wire.md, Resources). */
  findUri(uri: string, seen: (uri: string) => string | undefined): Target | undefined;
}

export interface Catalog {
  /** Changes with every catalog: list cursors belong to one. */
  readonly version: string;
  readonly all: View;
  server(name: string): View | undefined;
  /** The parameters of a tool that travel in headers as well. */
  mirrored(target: Target): readonly MirroredParam[];
  /** Tools that are left out, by server, and why. */
  readonly warnings: ReadonlyMap<string, readonly string[]>;
}

/** Merges offers. Pure but for the names, which the book keeps. */
export function buildCatalog(sources: readonly CatalogSource[], names: NameBook): Catalog {
  const warnings = new Map<string, string[]>();
  const mirrored = new Map<string, readonly MirroredParam[]>();
  const parts = sources.map((source) => ({ source, offer: withoutInvalidTools(source, { warnings, mirrored }) }));
  const own = new Map(parts.map(({ source, offer }) => [source.server, ownView(source.server, offer)]));
  return Object.freeze({
    version: randomBytes(9).toString('base64url'),
    all: viewOf(mergedLists(parts, names)),
    server: (name: string) => own.get(name),
    mirrored: (target: Target) => mirrored.get(`${target.server}\n${target.original}`) ?? [],
    warnings,
  });
}

/** Drops tools whose `x-mcp-header` breaks the rules, each alone (streamable-http, Schema Extension), and doubles of a name. */
function withoutInvalidTools(
  source: CatalogSource,
  found: { warnings: Map<string, string[]>; mirrored: Map<string, readonly MirroredParam[]> },
): ServerOffer['entries'] {
  const seen = new Set<string>();
  const warn = (name: string, why: string) => {
    const list = found.warnings.get(source.server) ?? [];
    if (list.length < 100) list.push(`the tool ${JSON.stringify(name.slice(0, 100))} is not offered: ${why}`);
    found.warnings.set(source.server, list);
    return false;
  };
  const tool = source.offer.entries.tool.filter((definition) => {
    const name = keyOf('tool', definition);
    if (seen.has(name)) return warn(name, 'its name stands twice in the list');
    seen.add(name);
    const params = readMirroredParams(definition.inputSchema);
    if (!params.ok) return warn(name, params.reason);
    if (params.params.length > 0) found.mirrored.set(`${source.server}\n${name}`, params.params);
    return true;
  });
  return { ...source.offer.entries, tool };
}

function keyOf(kind: OfferKind, definition: JsonObject): string {
  const key = definition[kind === 'resource' ? 'uri' : kind === 'resourceTemplate' ? 'uriTemplate' : 'name'];
  return typeof key === 'string' ? key : '';
}

/** Under `/mcp/s/NAME` everything has the name that the server gave it. */
function ownView(server: string, entries: ServerOffer['entries']): View {
  const lists = byKind((kind) =>
    entries[kind].map((definition) => {
      const original = keyOf(kind, definition);
      return Object.freeze<Offered>({ kind, server, exposed: original, original, definition });
    }),
  );
  return viewOf(lists);
}

function mergedLists(
  parts: readonly { source: CatalogSource; offer: ServerOffer['entries'] }[],
  names: NameBook,
): Lists {
  return byKind((kind) => {
    const things = parts.flatMap(({ source: { server, alias }, offer }) =>
      offer[kind].map((definition) => ({ kind, server, alias, original: keyOf(kind, definition), definition })),
    );
    const named = kind === 'tool' || kind === 'prompt' ? names.assign(things) : undefined;
    const uris = new Set<string>();
    return things.map(({ server, alias, original, definition }, index) => {
      const exposed = named?.[index] ?? original;
      const shown = named
        ? { ...definition, name: exposed }
        : uris.has(original)
          ? withAlias(definition, alias)
          : definition;
      uris.add(original);
      return Object.freeze<Offered>({ kind, server, exposed, original, definition: shown });
    });
  });
}

/** A URI that an earlier server offers too is told apart by its name. */
function withAlias(definition: JsonObject, alias: string): JsonObject {
  const name = typeof definition.name === 'string' ? definition.name : '';
  return { ...definition, name: `${name} (${alias})` };
}

function byKind(list: (kind: OfferKind) => readonly Offered[]): Lists {
  return Object.freeze(Object.fromEntries(KINDS.map((kind) => [kind, Object.freeze(list(kind))]))) as Lists;
}

function viewOf(lists: Lists): View {
  const targets = new Map<string, Target>();
  for (const kind of KINDS) {
    for (const { server, exposed, original } of lists[kind]) {
      const key = `${kind}\n${exposed}`;
      if (!targets.has(key)) targets.set(key, Object.freeze({ kind, server, exposed, original }));
    }
  }
  const templates = lists.resourceTemplate
    .map(({ server, original }) => ({ server, template: compileTemplate(original) }))
    .sort((a, b) => b.template.literals - a.template.literals);
  const find = (kind: OfferKind, exposed: string) => targets.get(`${kind}\n${exposed}`);
  return Object.freeze({
    lists,
    find,
    findUri: (uri: string, seen: (uri: string) => string | undefined) =>
      find('resource', uri) ?? routeUri(uri, seen(uri) ?? matching(templates, uri)),
  });
}

function matching(templates: readonly { server: string; template: UriTemplate }[], uri: string): string | undefined {
  return templates.find(({ template }) => template.matches(uri))?.server;
}

function routeUri(uri: string, server: string | undefined): Target | undefined {
  return server === undefined ? undefined : { kind: 'resource', server, exposed: uri, original: uri };
}
