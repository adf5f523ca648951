// Remembers the URIs that servers named in results: callers may read them although no list has them (wire.md, Resources).
import { BoundedMap } from '../core/bounded-map.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** The most principals that are remembered, URIs of one principal and server, characters of a URI, and entries of one result that are looked at. */
const MAX_PRINCIPALS = 1_000;
const MAX_URIS = 500;
const MAX_URI = 2_048;
const MAX_BLOCKS = 500;

/**
 * Remembers which server showed which URI to whom. No server can push out what another one showed, nor take it over by showing it too.
 */
export class SeenUris {
  /** By principal, then by server. */
  private readonly principals = new BoundedMap<string, Map<string, BoundedMap<string, true>>>({ most: MAX_PRINCIPALS });

  /** Looks through a result for links and embedded resources. */
  remember(principal: string, server: string, result: JsonObject): void {
    for (const uri of urisOf(result)) this.keep(principal, server, uri);
  }

  /** The server that showed the URI to this principal. */
  serverOf(principal: string, uri: string): string | undefined {
    for (const [server, uris] of this.principals.get(principal) ?? []) if (uris.has(uri)) return server;
    return undefined;
  }

  private keep(principal: string, server: string, uri: string): void {
    const first = this.serverOf(principal, uri);
    if (first === undefined || first === server) this.shownBy(principal, server).set(uri, true);
  }

  private shownBy(principal: string, server: string): BoundedMap<string, true> {
    let servers = this.principals.get(principal);
    if (!servers) this.principals.set(principal, (servers = new Map<string, BoundedMap<string, true>>()));
    let uris = servers.get(server);
    if (!uris) servers.set(server, (uris = new BoundedMap({ most: MAX_URIS })));
    return uris;
  }
}

function urisOf(result: JsonObject): string[] {
  const uris: string[] = [];
  const look = (item: JsonValue | undefined) => {
    if (!isObject(item)) return;
    const uri = item.uri ?? (isObject(item.resource) ? item.resource.uri : undefined);
    if (typeof uri === 'string' && uri.length <= MAX_URI) uris.push(uri);
    if (isObject(item.content)) look(item.content); // the messages of a prompt
  };
  for (const key of ['content', 'contents', 'messages']) {
    const list = result[key];
    if (Array.isArray(list)) for (const item of list.slice(0, MAX_BLOCKS)) look(item);
  }
  return uris;
}
