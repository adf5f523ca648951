// The catalog: the merged, immutable offer of all servers, with what each endpoint lists and the target of each name.
import { randomBytes } from 'node:crypto';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { OFFER_KINDS, type OfferKind, type Target } from '../core/call.ts';
import type { JsonObject } from '../core/json.ts';
import { type Offered, OfferedList } from '../core/reply.ts';
import { declaresLegacyTasks } from '../protocol/mcp/capabilities.ts';
import { type TaskSupport, taskSupportOf } from '../protocol/mcp/tasks.ts';
import { type MirroredParam, readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { findFault, withSafeIcons } from './definitions.ts';
import { legacyToolOf } from './legacy-tools.ts';
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

/** A definition that is offered, and what was found out about it once, for every catalog that it is part of. */
interface Entry {
  readonly original: string;
  readonly definition: JsonObject;
  /** A tool as legacy clients get it; absent where that is the same. */
  readonly legacy?: JsonObject;
  /** Absent where they are `NO_TRAITS`. */
  readonly traits?: ToolTraits;
}

/** The valid part of an offer, and warnings about the rest. */
interface CheckedOffer {
  readonly entries: Readonly<Record<OfferKind, readonly Entry[]>>;
  readonly warnings: readonly string[];
}

/** The checks of offers that have been made: an offer is immutable, and is part of many catalogs. */
export type OfferChecks = WeakMap<ServerOffer, CheckedOffer>;

interface Part {
  readonly source: CatalogSource;
  readonly checked: CheckedOffer;
}

/** Merges offers. A pure function but for the names, which the name book assigns and keeps, and for the checks, which it adds to. */
export function buildCatalog(
  sources: readonly CatalogSource[],
  names: NameBook,
  checks: OfferChecks = new WeakMap(),
): Catalog {
  const parts = sources.map((source): Part => {
    const { offer } = source;
    const checked = checks.get(offer) ?? check(offer);
    checks.set(offer, checked);
    return { source, checked };
  });
  const traits = new Map(
    parts.flatMap(({ source: { server }, checked }) =>
      checked.entries.tool.flatMap((tool) => (tool.traits ? [[`${server}\n${tool.original}`, tool.traits]] : [])),
    ),
  );
  const own = new Map(parts.map((part) => [part.source.server, viewOf(listsOf([part]), isPrivate(part.source))]));
  const warned = parts.filter(({ checked }) => checked.warnings.length > 0);
  return Object.freeze({
    version: randomBytes(9).toString('base64url'),
    all: viewOf(listsOf(parts, names), sources.some(isPrivate)),
    server: (name: string) => own.get(name),
    traits: ({ server, original }: Pick<Target, 'server' | 'original'>) =>
      (traits.size > 0 ? traits.get(`${server}\n${original}`) : undefined) ?? NO_TRAITS,
    warnings: new Map(warned.map(({ source, checked }) => [source.server, checked.warnings])),
  });
}

/** Leaves out each invalid definition: one of them would make clients refuse the whole list, with the tools of all servers. */
function check(offer: ServerOffer): CheckedOffer {
  const warnings: string[] = [];
  const warn = (warning: string) => warnings.length < BOUNDS.catalogWarnings && warnings.push(warning);
  const runsTasks = declaresLegacyTasks(offer.capabilities);
  const valid = (kind: OfferKind) => {
    const seen = new Set<string>();
    return offer.entries[kind].flatMap((listed): Entry[] => {
      const original = keyOf(kind, listed);
      const thing = `the ${THINGS[kind]} ${JSON.stringify(original.slice(0, BOUNDS.warningExcerpt))}`;
      const fault = seen.has(original) ? 'it stands twice in the list' : findFault(kind, listed);
      seen.add(original);
      if (fault !== undefined) {
        warn(`${thing} is not offered: ${fault}`);
        return [];
      }
      const { definition, leftOut } = withSafeIcons(listed);
      if (leftOut !== undefined) warn(`${thing} is offered without ${leftOut}`);
      if (kind !== 'tool') return [{ original, definition }];
      const { fault: lost, ...tool } = toolEntry(definition, runsTasks);
      if (lost !== undefined) warn(`${thing} is offered to older clients without its outputSchema: ${lost}`);
      return [{ original, ...tool }];
    });
  };
  const entries = {
    tool: valid('tool'),
    prompt: valid('prompt'),
    resource: valid('resource'),
    resourceTemplate: valid('resourceTemplate'),
  };
  return { entries, warnings };
}

function toolEntry(
  definition: JsonObject,
  runsTasks: boolean,
): Omit<Entry, 'original'> & { fault?: string | undefined } {
  const read = readMirroredParams(definition.inputSchema);
  const mirrored = read.ok ? read.params : [];
  const taskSupport = runsTasks ? taskSupportOf(definition) : undefined;
  const { definition: legacy, wrapsOutput, fault } = legacyToolOf(definition);
  const hasTraits = mirrored.length > 0 || taskSupport !== undefined || wrapsOutput;
  return {
    definition,
    ...(legacy !== definition && { legacy }),
    ...(hasTraits && { traits: { mirrored, taskSupport, wrapsOutput } }),
    fault,
  };
}

function keyOf(kind: OfferKind, definition: JsonObject): string {
  const key = definition[kind === 'resource' ? 'uri' : kind === 'resourceTemplate' ? 'uriTemplate' : 'name'];
  return typeof key === 'string' ? key : '';
}

/** The lists of some servers, under the names that the name book gives, or under the servers' own. */
function listsOf(parts: readonly Part[], names?: NameBook): Lists {
  return byKind((kind) => {
    const things = parts.flatMap(({ source: { server, alias }, checked }) =>
      checked.entries[kind].map((entry) => ({ ...entry, kind, server, alias })),
    );
    const named = kind === 'tool' || kind === 'prompt' ? names?.assign(things) : undefined;
    const uris = new Set<string>();
    return things.map(({ server, alias, original, definition, legacy }, index) => {
      const exposed = named?.[index] ?? original;
      // a resource whose URI an earlier server offers too has the alias in its name
      const isSecond = kind.startsWith('resource') && uris.has(original);
      uris.add(original);
      const shown = (each: JsonObject) =>
        named ? { ...each, name: exposed } : isSecond ? { ...each, name: `${nameIn(each)} (${alias})` } : each;
      return Object.freeze<Offered>({
        ...{ kind, server, exposed, original },
        definition: shown(definition),
        ...(legacy && { legacy: shown(legacy) }),
      });
    });
  });
}

function nameIn({ name }: JsonObject): string {
  return typeof name === 'string' ? name : '';
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
      const server = first ? undefined : (seen(uri) ?? matching(templates, uri));
      if (!first) return server === undefined ? undefined : { kind: 'resource', server, exposed: uri, original: uri };
      return permits(first) ? first : (others.get(uri)?.find(permits) ?? first);
    },
  });
}

function matching(templates: readonly { server: string; template: UriTemplate }[], uri: string): string | undefined {
  return templates.find(({ template }) => template.matches(uri))?.server;
}
