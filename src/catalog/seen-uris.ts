// URIs that a server named in its results: they can be read although no list has them (wire.md, Resources).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** Bounds: principals remembered, URIs that each was shown by one server, their length, and entries looked at in one result. */
const MAX_PRINCIPALS = 1_000;
const MAX_URIS = 500;
const MAX_URI = 2_048;
const MAX_BLOCKS = 500;

/**
 * Which server showed which URI to whom; the oldest of a server are forgotten first. What one server showed no other can push out, nor
 * take over by showing it too.
 */
export class SeenUris {
  /** By principal, then by server. */
  private readonly principals = new Map<string, Map<string, Set<string>>>();

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
    if (first !== undefined && first !== server) return;
    const uris = this.shownBy(principal, server);
    uris.delete(uri);
    uris.add(uri);
    if (uris.size > MAX_URIS) dropOldest(uris);
  }

  private shownBy(principal: string, server: string): Set<string> {
    let servers = this.principals.get(principal);
    if (!servers) {
      servers = new Map();
      this.principals.set(principal, servers);
      if (this.principals.size > MAX_PRINCIPALS) dropOldest(this.principals);
    }
    let uris = servers.get(server);
    if (!uris) servers.set(server, (uris = new Set()));
    return uris;
  }
}

function dropOldest(all: Map<string, unknown> | Set<string>): void {
  const oldest = all.keys().next().value;
  if (oldest !== undefined) all.delete(oldest);
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
