// Checks the head of a request before its body is read, and answers what browsers ask about other origins (CORS).
import { BOUNDS } from '../core/bounds/bounds.ts';
import { GatewayError } from '../core/errors.ts';
import { SECOND } from '../core/bounds/bound.ts';

export interface GuardOptions {
  /** Whether every bound address is a loopback one. */
  readonly loopback: boolean;
  /** Host names (with or without port) beside those of the bound addresses. */
  readonly allowedHosts: readonly string[];
  /** Origins beside loopback ones, as `scheme://host[:port]`. */
  readonly allowedOrigins: readonly string[];
}

/** A checked head: its Origin, if there is one, and its path without the query. */
export interface Head {
  readonly origin: string | undefined;
  readonly path: string;
}

/** The parts of a head that the guard checks; an IncomingMessage has them. */
export interface RawHead {
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
}

/** Headers that the gateway acts on. If one stood twice, a proxy and the gateway could act on different values. */
const SINGLE = new Set([
  'host',
  'origin',
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'last-event-id',
  'traceparent',
]);
const LOOPBACK_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const IP_LITERAL = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
const ABSOLUTE_TARGET = /^https?:\/\/([^/?#]*)([^?#]*)/i;

/** Compiles the checks for one listener. The guard throws `forbidden_host`, `forbidden_origin` or `header_mismatch`. */
export function compileGuard(options: GuardOptions): (head: RawHead) => Head {
  const hosts = new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()));

  const checkHost = (host: string) => {
    const lower = host.toLowerCase();
    const name = HOST.exec(lower)?.[1];
    // DNS rebinding needs a name, so an address literal is safe
    const known =
      name !== undefined &&
      (LOOPBACK_NAME.test(name) || hosts.has(name) || hosts.has(lower) || (!options.loopback && IP_LITERAL.test(name)));
    if (!known)
      throw new GatewayError(
        'forbidden_host',
        `The gateway does not answer to the Host ${JSON.stringify(host.slice(0, BOUNDS.quotedHeader))}; add it to listen.allowedHosts if it is yours.`,
      );
  };

  const checkOrigin = (origin: string) => {
    const lower = origin.toLowerCase();
    const name = /^https?:\/\/([^/]*)$/.exec(lower)?.[1];
    const loopback = options.loopback && name !== undefined && LOOPBACK_NAME.test(HOST.exec(name)?.[1] ?? '');
    if (loopback || origins.has(lower)) return;
    throw new GatewayError(
      'forbidden_origin',
      `Pages of ${JSON.stringify(origin.slice(0, BOUNDS.quotedHeader))} may not use this gateway; add the origin to listen.allowedOrigins if it is yours.`,
    );
  };

  const allowedHosts = new Set<string>();
  const allowedOrigins = new Set<string>();

  /** Checks a value unless the guard has allowed it before. */
  const once = (allowed: Set<string>, value: string, check: (value: string) => void) => {
    if (allowed.has(value)) return;
    check(value);
    if (allowed.size < BOUNDS.checkedHeads) allowed.add(value);
  };

  return ({ url = '/', rawHeaders }) => {
    const { host, origin } = readSingles(rawHeaders);
    if (host === undefined) throw new GatewayError('forbidden_host', 'The request has no Host header.');
    once(allowedHosts, host, checkHost);
    const { authority, path } = readTarget(url);
    // the host of an absolute target overrides the header (RFC 9112 section 3.2.2)
    if (authority !== undefined) once(allowedHosts, authority, checkHost);
    if (origin !== undefined) once(allowedOrigins, origin, checkOrigin);
    return { origin, path };
  };
}

/** Parses a request target: `/path?query`, or `http://authority/path?query`. */
export function readTarget(url: string): { authority?: string; path: string } {
  const absolute = ABSOLUTE_TARGET.exec(url);
  if (absolute) return { authority: absolute[1] ?? '', path: absolute[2] === '' ? '/' : (absolute[2] ?? '/') };
  const query = url.indexOf('?');
  return { path: query === -1 ? url : url.slice(0, query) };
}

function readSingles(rawHeaders: readonly string[]): { host: string | undefined; origin: string | undefined } {
  const seen: string[] = []; // an array, because it has few entries, and a set on every request costs more
  let host: string | undefined;
  let origin: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (!SINGLE.has(name) && !name.startsWith('mcp-')) continue;
    if (seen.includes(name)) throw new GatewayError('header_mismatch', `The header ${name} stands more than once.`);
    if (seen.push(name) > BOUNDS.mcpHeaders)
      throw new GatewayError('header_mismatch', `The request has more than ${BOUNDS.mcpHeaders} headers of MCP.`);
    if (name === 'host') host = rawHeaders[at + 1];
    else if (name === 'origin') origin = rawHeaders[at + 1];
  }
  return { host, origin };
}

const EXPOSED = 'Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate';
const ALLOWED = [
  'Content-Type',
  'Accept',
  'Authorization',
  'Last-Event-ID',
  'MCP-Protocol-Version',
  'Mcp-Session-Id',
  'Mcp-Method',
  'Mcp-Name',
  'traceparent',
  'tracestate',
];
const NONE: Readonly<Record<string, string>> = Object.freeze({});

/** Headers for every response to a page of an origin that the guard allowed. */
export function corsHeaders(origin: string | undefined): Readonly<Record<string, string>> {
  if (origin === undefined) return NONE;
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
}

/** Headers of the answer to a preflight. Tools name the `Mcp-Param-*` headers, so the answer grants those that the browser asks for. */
export function preflightHeaders(
  origin: string,
  requested: string | undefined,
  privateNetwork: boolean,
): Record<string, string> {
  const params = (requested ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^mcp-param-[!#$%&'*+\-.^_`|~0-9a-z]{1,128}$/i.test(name));
  return {
    ...corsHeaders(origin),
    'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
    'access-control-allow-headers': [...ALLOWED, ...params.slice(0, BOUNDS.preflightHeaders)].join(', '),
    'access-control-max-age': String(BOUNDS.preflightAge / SECOND),
    ...(privateNetwork && { 'access-control-allow-private-network': 'true' }),
  };
}
