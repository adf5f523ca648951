// What one endpoint shows of the catalog: the lists of all servers, or of one, and where names and URIs lead.
import { OFFER_KINDS, type OfferKind, type Target } from '../core/call.ts';
import type { Offered, OfferedList } from '../core/reply.ts';
import { namesServer, readServerUri, type ServerUri, uriAt } from './server-uris.ts';
import { compileTemplate } from './uri-templates.ts';

export type Lists = Readonly<Record<OfferKind, OfferedList>>;

export interface UriOptions {
  /** The server that named the URI to this caller first in a result; with `by`, that server if it named the URI at all. */
  seen(uri: string, by?: string): string | undefined;
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
  /** The URI under which the caller can read what the server calls `uri`: one that names the server, where `uri` leads to another server. */
  uriOf(server: string, uri: string, seen: UriOptions['seen']): string;
}

/** `own`: the views of the single servers, where this is the view of all of them. */
export function viewOf(lists: Lists, isPrivate: boolean, own?: ReadonlyMap<string, View>): View {
  const targets = Object.fromEntries(OFFER_KINDS.map((kind) => [kind, new Map<string, Target>()])) as Record<
    OfferKind,
    Map<string, Target>
  >;
  for (const kind of OFFER_KINDS)
    for (const { server, exposed, original } of lists[kind].entries)
      targets[kind].set(exposed, Object.freeze({ kind, server, exposed, original }));
  const find = (kind: OfferKind, exposed: string) => targets[kind].get(exposed);
  return Object.freeze({ lists, isPrivate, find, ...routing(lists, find, own) });
}

/** Where URIs lead in a view. */
function routing(
  lists: Lists,
  find: View['find'],
  own: ReadonlyMap<string, View> = new Map(),
): Pick<View, 'findUri' | 'uriOf'> {
  const renamed = lists.resource.entries.filter(isRenamed);
  const others = Map.groupBy(renamed, ({ original }) => original);
  const templates = lists.resourceTemplate.entries
    .map((entry) => ({ ...entry, template: compileTemplate(entry.original) }))
    .sort((a, b) => b.template.literals - a.template.literals || Number(isRenamed(a)) - Number(isRenamed(b)));
  const renamedTemplates = templates.filter(isRenamed);
  const unlisted = (uri: string, { seen }: UriOptions) =>
    seen(uri) ?? templates.find(({ template }) => template.matches(uri))?.server;
  const findUri: View['findUri'] = (uri, options) => {
    const named = own.size > 0 ? readServerUri(uri) : undefined;
    if (named) return findAt(own.get(named.server), named, { uri, options });
    const first = find('resource', uri);
    if (first && (others.size === 0 || options.permits(first))) return first;
    const more = others.get(uri);
    const other = more?.find(options.permits) ?? first ?? more?.[0];
    if (other && other === first) return first;
    const server = other?.server ?? unlisted(uri, options);
    return server === undefined ? undefined : { kind: 'resource', server, exposed: uri, original: uri };
  };
  const uriOf: View['uriOf'] = (server, uri, seen) => {
    if (own.size === 0) return uri;
    const isOf = (entry: Offered) => entry.server === server;
    if (namesServer(uri)) return uriAt(server, uri);
    const leadsTo = find('resource', uri)?.server;
    if (leadsTo === server) return uri;
    const isElsewhere =
      leadsTo !== undefined ||
      others.get(uri)?.some(isOf) === true ||
      renamedTemplates.some((entry) => isOf(entry) && entry.template.matches(uri)) ||
      (seen(uri) ?? server) !== server;
    return isElsewhere ? uriAt(server, uri) : uri;
  };
  return { findUri, uriOf };
}

/** The target of a URI that names its server. */
function findAt(
  view: View | undefined,
  { server, original }: ServerUri,
  { uri, options }: { uri: string; options: UriOptions },
): Target | undefined {
  const { seen, permits } = options;
  const target = view?.findUri(original, { seen: (each) => seen(each, server), permits });
  return target && { ...target, exposed: uri };
}

function isRenamed({ exposed, original }: Offered): boolean {
  return exposed !== original;
}
