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
import type { Nameable, NameBook } from './names.ts';
import type { ServerOffer } from './offer.ts';
import type { NameRow } from './store.ts';
import { type Lists, type View, viewOf } from './view.ts';

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
  /** Who shows each URI that several servers offer, as far as the name book does not have it: for `NameBook.keepUris` once a client saw the lists. */
  readonly chosen: readonly NameRow[];
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

export interface CatalogOptions {
  readonly checks?: OfferChecks;
  /** The catalog whose lists clients saw last: a server that is added never changes the URI of another's resource. */
  readonly shown?: Catalog | undefined;
}

interface Part {
  readonly source: CatalogSource;
  readonly checked: CheckedOffer;
}

/** Merges offers. A pure function but for the names, which the name book assigns and keeps, and for the checks, which it adds to. */
export function buildCatalog(
  sources: readonly CatalogSource[],
  names: NameBook,
  { checks = new WeakMap(), shown }: CatalogOptions = {},
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
  const chosen: NameRow[] = [];
  const all = listsOf(parts, (kind, things) => {
    if (kind === 'tool' || kind === 'prompt') return names.assign(things);
    const { exposed, fresh } = names.chooseUris(things, (uri) => shown?.all.find(kind, uri)?.server);
    chosen.push(...fresh);
    return exposed;
  });
  const warned = parts.filter(({ checked }) => checked.warnings.length > 0);
  return Object.freeze({
    version: randomBytes(9).toString('base64url'),
    all: viewOf(all, sources.some(isPrivate), own),
    server: (name: string) => own.get(name),
    traits: ({ server, original }: Pick<Target, 'server' | 'original'>) =>
      (traits.size > 0 ? traits.get(`${server}\n${original}`) : undefined) ?? NO_TRAITS,
    warnings: new Map(warned.map(({ source, checked }) => [source.server, checked.warnings])),
    chosen,
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

/** Gives things of one kind the names under which the endpoint of all servers shows them. */
type Naming = (kind: OfferKind, things: readonly Nameable[]) => readonly string[];

/** The lists of some servers, under the names that `naming` gives, or under the servers' own. */
function listsOf(parts: readonly Part[], naming?: Naming): Lists {
  return byKind((kind) => {
    const things = parts.flatMap(({ source: { server, alias }, checked }) =>
      checked.entries[kind].map((entry) => ({ ...entry, kind, server, alias })),
    );
    const named = naming?.(kind, things);
    return things.map((thing, index) => {
      const { server, original, definition, legacy } = thing;
      const exposed = named?.[index] ?? original;
      const shown = (each: JsonObject) => (exposed === original ? each : { ...each, ...shownAs(thing, exposed) });
      return Object.freeze<Offered>({
        ...{ kind, server, exposed, original },
        definition: shown(definition),
        ...(legacy && { legacy: shown(legacy) }),
      });
    });
  });
}

/** The members of a definition that name what it defines. A resource whose URI names its server has the alias in its name. */
function shownAs({ kind, alias, definition }: Nameable & Pick<Entry, 'definition'>, exposed: string): JsonObject {
  if (kind === 'tool' || kind === 'prompt') return { name: exposed };
  return { [kind === 'resource' ? 'uri' : 'uriTemplate']: exposed, name: `${nameIn(definition)} (${alias})` };
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
