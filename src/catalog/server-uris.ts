// URIs that name their server: `mcp-gateway://SERVER/URI` on `/mcp` is the resource URI of that server (docs/resources.md).

const SCHEME = 'mcp-gateway://';

/** A resource as the URI that names its server says. */
export interface ServerUri {
  readonly server: string;
  /** As the server knows it. */
  readonly original: string;
}

/** The URI or URI template that names its server. The original follows unchanged, so that a template expands to a URI of the same server. */
export function uriAt(server: string, original: string): string {
  return `${SCHEME}${encodeURIComponent(server.toWellFormed())}/${original}`;
}

/** Whether a URI has the scheme with which `/mcp` names servers. */
export function namesServer(uri: string): boolean {
  return uri.startsWith(SCHEME);
}

/** The original of a URI that names this server; undefined where it names another one, or none. */
export function originalAt(server: string, uri: string): string | undefined {
  const named = readServerUri(uri);
  return named?.server === server ? named.original : undefined;
}

/** The reverse of `uriAt`; undefined where the URI names no server. */
export function readServerUri(uri: string): ServerUri | undefined {
  if (!namesServer(uri)) return undefined;
  const end = uri.indexOf('/', SCHEME.length);
  if (end <= SCHEME.length || end === uri.length - 1) return undefined;
  try {
    return { server: decodeURIComponent(uri.slice(SCHEME.length, end)), original: uri.slice(end + 1) };
  } catch {
    return undefined; // no server has a name that is encoded so
  }
}
