// Remembers the URIs that servers name in results: callers may read them although no list has them (wire.md, Resources).
import { BOUNDS } from '../core/bounds/bounds.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import type { JsonObject } from '../core/json.ts';
import { mapResourceUris } from '../protocol/mcp/resource-uris.ts';

/**
 * Remembers which servers named which URI to which principal. The URI leads to the server that named it first: no server can evict the URIs of
 * another, nor get one by naming it too.
 */
export class SeenUris {
  /** By principal, then by server: its URIs, and whether the server was the first to name each. */
  private readonly principals = new BoundedMap<string, Map<string, BoundedMap<string, boolean>>>({
    most: BOUNDS.seenPrincipals,
  });

  /** Remembers the URIs of links and embedded resources in a result. */
  remember(principal: string, server: string, result: JsonObject): void {
    const keep = (uri: string) => {
      if (uri.length <= BOUNDS.seenUri) this.keep(principal, server, uri);
      return uri;
    };
    mapResourceUris(result, keep, BOUNDS.seenBlocks);
  }

  /** The server that named the URI to this principal first. */
  serverOf(principal: string, uri: string): string | undefined {
    for (const [server, uris] of this.principals.get(principal) ?? []) if (uris.get(uri) === true) return server;
    return undefined;
  }

  /** Whether the server named the URI to this principal, first or later. */
  isNamedBy(principal: string, server: string, uri: string): boolean {
    return this.principals.get(principal)?.get(server)?.has(uri) === true;
  }

  private keep(principal: string, server: string, uri: string): void {
    const first = this.serverOf(principal, uri) ?? server;
    this.urisFor(principal, server).set(uri, first === server);
  }

  private urisFor(principal: string, server: string): BoundedMap<string, boolean> {
    let servers = this.principals.get(principal);
    if (!servers) this.principals.set(principal, (servers = new Map<string, BoundedMap<string, boolean>>()));
    let uris = servers.get(server);
    if (!uris) servers.set(server, (uris = new BoundedMap({ most: BOUNDS.seenUris })));
    return uris;
  }
}
