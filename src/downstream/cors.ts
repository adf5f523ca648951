// What browsers need to be told: which origin may read answers, and which headers it may send and see.

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

/** Headers for every response to a page of an origin that the guard let pass. */
export function corsHeaders(origin: string | undefined): Readonly<Record<string, string>> {
  if (origin === undefined) return NONE;
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
}

/** Headers of the answer to a preflight; `Mcp-Param-*` are named by tools, so those that are asked for are granted. */
export function preflightHeaders(
  origin: string,
  asked: string | undefined,
  privateNetwork: boolean,
): Record<string, string> {
  const params = (asked ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^mcp-param-[!#$%&'*+\-.^_`|~0-9a-z]{1,128}$/i.test(name));
  return {
    ...corsHeaders(origin),
    'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
    'access-control-allow-headers': [...ALLOWED, ...params.slice(0, 32)].join(', '),
    'access-control-max-age': '600',
    ...(privateNetwork && { 'access-control-allow-private-network': 'true' }),
  };
}
