// The catalog: the merged, immutable offer of all servers, with what each endpoint lists and the target of each name.
import { randomBytes } from 'node:crypto';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { OFFER_KINDS, type OfferKind, type Target } from '../core/call.ts';
import type { JsonObject } from '../core/json.ts';
import { OfferedList } from '../core/offered-list.ts';
import type { Offered } from '../core/reply.ts';
import { type MirroredParam, readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { declaresLegacyTasks, type TaskSupport, taskSupportOf } from '../protocol/mcp/tasks.ts';
import { findFault, unsafeIcons, withSafeIcons } from './definitions.ts';
import { legacyOutputOf } from './legacy-tools.ts';
import type { NameBook } from './names.ts';
import type { ServerOffer } from './offer.ts';
import { compileTemplate, type UriTemplate } from './uri-templates.ts';

/** The offer of one server; catalogs are made of them in configured order. */
export interface CatalogSource {
  readonly server: string;
  readonly alias: string;
  readonly offer: ServerOffer;
}

const THINGS: Readonly<Record<OfferKind, string>> = {
  tool: 'tool',
  prompt: 'prompt',
  resource: 'resource',
  resourceTemplate: 'resource template',
};

type Lists = Readonly<Record<OfferKind, OfferedList>>;

export interface UriOptions {
  /** The server that named the URI to this caller in a result. */
  seen(uri: string): string | undefined;
  /** Whether the caller may use the target: of several servers with the same URI, `findUri` chooses the first that the caller may use. */
  permits(target: Target): boolean;
}

/** What one endpoint offers: everything, or one server under that server's own names. */
export interface View {
  readonly lists: Lists;
  /** Whether one of its servers says that its lists are private (`cacheScope`). */
  readonly isPrivate: boolean;
  find(kind: OfferKind, exposed: string): Target | undefined;
  /** The target of a URI: of a listed resource, else of the server that `seen` names, else of a template that matches (wire.md, Resources). */
  findUri(uri: string, options: UriOptions): Target | undefined;
}

/** What the catalog knows of a tool beyond its definition, for the calls of the tool. */
export interface ToolTraits {
  /** The parameters that headers repeat (`x-mcp-header`). */
  readonly mirrored: readonly MirroredParam[];
  /** Whether a legacy server runs it as a task. */
  readonly taskSupport: TaskSupport | undefined;
  /** Whether legacy clients get its structured content wrapped in `{ "result": … }`. */
  readonly wrapsOutput: boolean;
}

/** The traits of most tools, and of everything that is not a tool. */
export const NO_TRAITS: ToolTraits = Object.freeze({ mirrored: [], taskSupport: undefined, wrapsOutput: false });

export interface Catalog {
  /** Differs between catalogs: a list cursor is valid for one of them. */
  readonly version: string;
  readonly all: View;
  server(name: string): View | undefined;
  traits(target: Pick<Target, 'server' | 'original'>): ToolTraits;
  /** What the catalog leaves out or changes of each server's offer, and why. */
  readonly warnings: ReadonlyMap<string, readonly string[]>;
}

/** Merges offers. A pure function but for the names, which the name book assigns and keeps. */
export function buildCatalog(sources: readonly CatalogSource[], names: NameBook): Catalog {
  const warnings = new Map<string, string[]>();
  const traits = new Map<string, ToolTraits>();
  const parts = sources.map((source) => ({ source, offer: withoutInvalid(source, { warnings, traits }) }));
  const own = new Map(parts.map(({ source, offer }) => [source.server, ownView(source, offer)]));
  return Object.freeze({
    version: randomBytes(9).toString('base64url'),
    all: viewOf(mergedLists(parts, names), sources.some(isPrivate)),
    server: (name: string) => own.get(name),
    traits: ({ server, original }: Pick<Target, 'server' | 'original'>) =>
      (traits.size > 0 ? traits.get(`${server}\n${original}`) : undefined) ?? NO_TRAITS,
    warnings,
  });
}

/** Leaves out each invalid definition: one of them would make clients refuse the whole list, with the tools of all servers. */
function withoutInvalid(
  source: CatalogSource,
  found: { warnings: Map<string, string[]>; traits: Map<string, ToolTraits> },
): ServerOffer['entries'] {
  const { server, offer } = source;
  const warnings: string[] = [];
  const warn = (warning: string) => warnings.length < BOUNDS.catalogWarnings && warnings.push(warning);
  const valid = (kind: OfferKind) => {
    const seen = new Set<string>();
    return offer.entries[kind].flatMap((listed) => {
      const key = keyOf(kind, listed);
      const thing = () => `the ${THINGS[kind]} ${JSON.stringify(key.slice(0, BOUNDS.warningExcerpt))}`;
      const fault = seen.has(key) ? 'it stands twice in the list' : findFault(kind, listed);
      seen.add(key);
      if (fault !== undefined) {
        warn(`${thing()} is not offered: ${fault}`);
        return [];
      }
      const { definition, leftOut } = withSafeIcons(listed);
      if (leftOut.length > 0) warn(`${thing()} is offered without ${unsafeIcons(leftOut)}`);
      return [definition];
    });
  };
  const entries = {
    tool: valid('tool'),
    prompt: valid('prompt'),
    resource: valid('resource'),
    resourceTemplate: valid('resourceTemplate'),
  };
  const runsTasks = declaresLegacyTasks(offer.capabilities);
  for (const tool of entries.tool) {
    const read = readMirroredParams(tool.inputSchema);
    const mirrored = read.ok ? read.params : [];
    const taskSupport = runsTasks ? taskSupportOf(tool) : undefined;
    const { wrapped: wrapsOutput, fault } = legacyOutputOf(tool);
    const name = keyOf('tool', tool);
    if (mirrored.length > 0 || taskSupport !== undefined || wrapsOutput)
      found.traits.set(`${server}\n${name}`, { mirrored, taskSupport, wrapsOutput });
    if (fault !== undefined)
      warn(
        `the tool ${JSON.stringify(name.slice(0, BOUNDS.warningExcerpt))} is offered to older clients without its outputSchema: ${fault}`,
      );
  }
  if (warnings.length > 0) found.warnings.set(server, warnings);
  return entries;
}

function keyOf(kind: OfferKind, definition: JsonObject): string {
  const key = definition[kind === 'resource' ? 'uri' : kind === 'resourceTemplate' ? 'uriTemplate' : 'name'];
  return typeof key === 'string' ? key : '';
}

/** The view of `/mcp/s/NAME`, where everything has the name that the server gave it. */
function ownView(source: CatalogSource, entries: ServerOffer['entries']): View {
  const { server } = source;
  const lists = byKind((kind) =>
    entries[kind].map((definition) => {
      const original = keyOf(kind, definition);
      return Object.freeze<Offered>({ kind, server, exposed: original, original, definition });
    }),
  );
  return viewOf(lists, isPrivate(source));
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

/** Adds the alias to the name of a resource whose URI an earlier server offers too. */
function withAlias(definition: JsonObject, alias: string): JsonObject {
  const name = typeof definition.name === 'string' ? definition.name : '';
  return { ...definition, name: `${name} (${alias})` };
}

function byKind(list: (kind: OfferKind) => readonly Offered[]): Lists {
  return Object.freeze(Object.fromEntries(OFFER_KINDS.map((kind) => [kind, new OfferedList(list(kind))]))) as Lists;
}

function isPrivate({ offer }: CatalogSource): boolean {
  return offer.private === true;
}

function viewOf(lists: Lists, isPrivate: boolean): View {
  const targets = Object.fromEntries(OFFER_KINDS.map((kind) => [kind, new Map<string, Target>()])) as Record<
    OfferKind,
    Map<string, Target>
  >;
  const others = new Map<string, Target[]>();
  for (const kind of OFFER_KINDS) {
    for (const { server, exposed, original } of lists[kind].entries) {
      const target = Object.freeze({ kind, server, exposed, original });
      if (!targets[kind].has(exposed)) targets[kind].set(exposed, target);
      else if (kind === 'resource') others.set(exposed, [...(others.get(exposed) ?? []), target]);
    }
  }
  const templates = lists.resourceTemplate.entries
    .map(({ server, original }) => ({ server, template: compileTemplate(original) }))
    .sort((a, b) => b.template.literals - a.template.literals);
  const find = (kind: OfferKind, exposed: string) => targets[kind].get(exposed);
  return Object.freeze({
    lists,
    isPrivate,
    find,
    findUri: (uri: string, { seen, permits }: UriOptions) => {
      const first = find('resource', uri);
      if (!first) return routeUri(uri, seen(uri) ?? matching(templates, uri));
      return permits(first) ? first : (others.get(uri)?.find(permits) ?? first);
    },
  });
}

function matching(templates: readonly { server: string; template: UriTemplate }[], uri: string): string | undefined {
  return templates.find(({ template }) => template.matches(uri))?.server;
}

function routeUri(uri: string, server: string | undefined): Target | undefined {
  return server === undefined ? undefined : { kind: 'resource', server, exposed: uri, original: uri };
}
