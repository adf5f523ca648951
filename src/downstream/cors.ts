// CORS: which origin may read answers, and which headers it may send and see.
import { SECOND } from '../core/bounds/bound.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';

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
