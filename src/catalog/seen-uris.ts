// Remembers the URIs that servers name in results: callers may read them although no list has them (wire.md, Resources).
import { BOUNDS } from '../core/bounds/bounds.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/**
 * Remembers which server named which URI to which principal. No server can evict the URIs of another, nor get one by naming it too.
 */
export class SeenUris {
  /** By principal, then by server. */
  private readonly principals = new BoundedMap<string, Map<string, BoundedMap<string, true>>>({
    most: BOUNDS.seenPrincipals,
  });

  /** Remembers the URIs of links and embedded resources in a result. */
  remember(principal: string, server: string, result: JsonObject): void {
    for (const uri of urisOf(result)) this.keep(principal, server, uri);
  }

  /** The server that named the URI to this principal. */
  serverOf(principal: string, uri: string): string | undefined {
    for (const [server, uris] of this.principals.get(principal) ?? []) if (uris.has(uri)) return server;
    return undefined;
  }

  private keep(principal: string, server: string, uri: string): void {
    const first = this.serverOf(principal, uri);
    if (first === undefined || first === server) this.urisFor(principal, server).set(uri, true);
  }

  private urisFor(principal: string, server: string): BoundedMap<string, true> {
    let servers = this.principals.get(principal);
    if (!servers) this.principals.set(principal, (servers = new Map<string, BoundedMap<string, true>>()));
    let uris = servers.get(server);
    if (!uris) servers.set(server, (uris = new BoundedMap({ most: BOUNDS.seenUris })));
    return uris;
  }
}

const BLOCKS = ['content', 'contents', 'messages'];
const NO_URIS: readonly string[] = [];

function urisOf(result: JsonObject): readonly string[] {
  let uris: string[] | undefined;
  const collect = (item: JsonValue | undefined) => {
    if (!isObject(item)) return;
    const uri = item.uri ?? (isObject(item.resource) ? item.resource.uri : undefined);
    if (typeof uri === 'string' && uri.length <= BOUNDS.seenUri) (uris ??= []).push(uri);
    if (isObject(item.content)) collect(item.content); // a message of a prompt
  };
  for (const key of BLOCKS) {
    const list = result[key];
    if (!Array.isArray(list)) continue;
    for (let at = 0; at < list.length && at < BOUNDS.seenBlocks; at++) collect(list[at]);
  }
  return uris ?? NO_URIS;
}
