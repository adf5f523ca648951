// Checks that the headers of a modern HTTP request agree with its body (streamable-http, Server Validation).
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../core/errors.ts';
import { isObject } from '../../core/json.ts';
import type { RequestFrame } from '../../protocol/mcp/frames.ts';
import { decodeHeaderValue } from '../../protocol/mcp/header-values.ts';
import { META } from '../../protocol/mcp/meta.ts';
import { NAMED_METHODS } from '../../protocol/mcp/methods.ts';
import { type ParamHeaders, paramHeadersIn } from '../../protocol/mcp/param-headers.ts';
import { isLegacyVersion, MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { unsupportedVersion } from './encode.ts';
import { VERSION_HEADER } from './http-request.ts';

const mismatch = (why: string) => new GatewayError('header_mismatch', `Header mismatch: ${why}`);

/**
 * Checks the headers against the body, and returns the `Mcp-Param-*` headers of a `tools/call`. An unsupported version on which header and
 * body agree is refused first, because the other headers may mean something else there. Throws `unsupported_version` and `header_mismatch`.
 */
export function readModernHeaders(frame: RequestFrame, headers: IncomingHttpHeaders): ParamHeaders | undefined {
  const sent = headers[VERSION_HEADER];
  const meta = frame.params._meta;
  const version = (isObject(meta) ? meta[META.version] : undefined) ?? sent;
  if (typeof sent === 'string' && sent === version && !isLegacyVersion(sent) && sent !== MODERN_VERSION)
    throw unsupportedVersion(sent);
  checkHeaders(frame, headers);
  return frame.method === 'tools/call' ? paramHeadersIn(headers) : undefined;
}

/** Throws `header_mismatch` if a required header is missing or malformed, or differs from the body. */
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
  if (named === undefined || typeof name !== 'string') return; // the pipeline refuses a body without a name
  const sentName = headers['mcp-name'];
  if (typeof sentName !== 'string') throw mismatch('Mcp-Name is missing.');
  const decoded = decodeHeaderValue(sentName);
  if (decoded === undefined) throw mismatch('Mcp-Name has characters that a header cannot carry.');
  if (decoded !== name) throw mismatch(`Mcp-Name does not match \`params.${named}\` of the body.`);
}
