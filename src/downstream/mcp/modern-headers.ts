// The headers of a modern HTTP request must say what its body says (streamable-http, Server Validation).
import type { IncomingHttpHeaders } from 'node:http';
import type { Target } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject } from '../../core/json.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { RequestFrame } from '../../protocol/mcp/frames.ts';
import { decodeHeaderValue } from '../../protocol/mcp/header-values.ts';
import { META } from '../../protocol/mcp/meta.ts';
import { NAMED_METHODS } from '../../protocol/mcp/methods.ts';
import { checkMirrored, type MirroredParam, PARAM_PREFIX } from '../../protocol/mcp/param-headers.ts';

/** Bounds of what is forwarded of `Mcp-Param-*` that no schema names. */
const MAX_FORWARDED = 32;
const MAX_FORWARDED_VALUE = 4096;

const mismatch = (why: string) => new GatewayError('header_mismatch', `Header mismatch: ${why}`);

/** Throws `header_mismatch` where a required header is missing, malformed, or differs from the body. */
export function checkHeaders(frame: RequestFrame, headers: IncomingHttpHeaders): void {
  const { method, params } = frame;
  const meta = params._meta;
  const version = isObject(meta) ? meta[META.version] : undefined;
  const sent = headers['mcp-protocol-version'];
  if (sent === undefined) throw mismatch('MCP-Protocol-Version is missing.');
  if (typeof version === 'string' && sent !== version)
    throw mismatch(`MCP-Protocol-Version is "${String(sent)}", the body says "${version}".`);
  const sentMethod = headers['mcp-method'];
  if (sentMethod === undefined) throw mismatch('Mcp-Method is missing.');
  if (sentMethod !== method) throw mismatch(`Mcp-Method is "${String(sentMethod)}", the body says "${method}".`);
  const named = NAMED_METHODS[method];
  const name = named && params[named];
  if (named === undefined || typeof name !== 'string') return; // a body without a name is refused as such
  const sentName = headers['mcp-name'];
  if (typeof sentName !== 'string') throw mismatch('Mcp-Name is missing.');
  const decoded = decodeHeaderValue(sentName);
  if (decoded === undefined) throw mismatch('Mcp-Name has characters that a header cannot carry.');
  if (decoded !== name) throw mismatch(`Mcp-Name does not match \`params.${named}\` of the body.`);
}

/** What a caller of one endpoint can see of the offer. */
export interface HeaderView {
  readonly catalog: Catalog;
  /** A tool that may not be called has no schema to check against: its answer is that of a tool that does not exist. */
  readonly permits: (target: Target) => boolean;
  readonly scope?: string;
}

/**
 * Checks the `Mcp-Param-*` headers that the tool's schema names, and returns those that it does not: an intermediary forwards what it
 * does not recognize (streamable-http, Server Behavior for Custom Headers).
 */
export function readParamHeaders(
  frame: RequestFrame,
  headers: IncomingHttpHeaders,
  view: HeaderView,
): Record<string, string> | undefined {
  if (frame.method !== 'tools/call') return undefined;
  const { catalog, permits, scope } = view;
  const name = frame.params.name;
  const offer = scope === undefined ? catalog.all : catalog.server(scope);
  const target = typeof name === 'string' ? offer?.find('tool', name) : undefined;
  const annotated = target ? catalog.traits(target).mirrored : [];
  const mirrored = target && annotated.length > 0 && permits(target) ? annotated : [];
  if (mirrored.length > 0) {
    const args = frame.params.arguments;
    const problem = checkMirrored(mirrored, isObject(args) ? args : {}, headers);
    if (problem !== undefined) throw mismatch(problem);
  }
  return readForwarded(headers, mirrored);
}

function readForwarded(
  headers: IncomingHttpHeaders,
  known: readonly MirroredParam[],
): Record<string, string> | undefined {
  let forwarded: Record<string, string> | undefined;
  let count = 0;
  for (const header in headers) {
    if (!header.startsWith(PARAM_PREFIX) || known.some((param) => param.header === header)) continue;
    const value = headers[header];
    if (typeof value !== 'string' || value.length > MAX_FORWARDED_VALUE || ++count > MAX_FORWARDED)
      throw mismatch(`${header} is more than is forwarded.`);
    (forwarded ??= {})[header] = value;
  }
  return forwarded;
}
