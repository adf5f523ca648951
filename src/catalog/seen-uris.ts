// URIs that a server named in its results: they can be read although no list has them (wire.md, Resources).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';

/** Bounds: principals remembered, URIs of each, and entries looked at in one result. */
const MAX_PRINCIPALS = 1_000;
const MAX_URIS = 1_000;
const MAX_BLOCKS = 1_000;

/** Which server showed which URI to whom; the oldest are forgotten first. */
export class SeenUris {
  private readonly principals = new Map<string, Map<string, string>>();

  /** Looks through a result for links and embedded resources. */
  learn(principal: string, server: string, result: JsonObject): void {
    for (const uri of urisOf(result)) this.keep(principal, server, uri);
  }

  /** The server that showed the URI to this principal. */
  serverOf(principal: string, uri: string): string | undefined {
    return this.principals.get(principal)?.get(uri);
  }

  private keep(principal: string, server: string, uri: string): void {
    let uris = this.principals.get(principal);
    if (!uris) {
      uris = new Map();
      this.principals.set(principal, uris);
      if (this.principals.size > MAX_PRINCIPALS) dropOldest(this.principals);
    }
    uris.delete(uri);
    uris.set(uri, server);
    if (uris.size > MAX_URIS) dropOldest(uris);
  }
}

function dropOldest(map: Map<string, unknown>): void {
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}

function urisOf(result: JsonObject): string[] {
  const uris: string[] = [];
  const look = (item: JsonValue | undefined) => {
    if (!isObject(item)) return;
    const uri = item.uri ?? (isObject(item.resource) ? item.resource.uri : undefined);
    if (typeof uri === 'string' && uri.length <= 4096) uris.push(uri);
    if (isObject(item.content)) look(item.content); // the messages of a prompt
  };
  for (const key of ['content', 'contents', 'messages']) {
    const list = result[key];
    if (Array.isArray(list)) for (const item of list.slice(0, MAX_BLOCKS)) look(item);
  }
  return uris;
}
