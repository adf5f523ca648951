// The headers of a Streamable HTTP connection: era, version and session as the handshake agreed on them.
import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { encodeHeaderValue } from '../../../protocol/mcp/header-values.ts';
import { NAMED_METHODS } from '../../../protocol/mcp/methods.ts';
import { MODERN_VERSION } from '../../../protocol/mcp/versions.ts';
import type { HttpEndpoint } from './http-endpoint.ts';
import type { ResponseHeaders } from './http-exchange.ts';
import type { WireRequest } from './wire.ts';

type Headers = Record<string, string>;

/** Era, version and session id are unknown at first. */
export class HttpSession {
  era: 'legacy' | 'modern' | undefined;
  private version: string | undefined;
  private id: string | undefined;
  private readonly endpoint: HttpEndpoint;

  constructor(endpoint: HttpEndpoint) {
    this.endpoint = endpoint;
  }

  /** Whether the server assigned a session id. */
  get assigned(): boolean {
    return this.id !== undefined;
  }

  adopt({ era, version }: { era: 'legacy' | 'modern'; version: string }): void {
    this.era = era;
    this.version = version;
  }

  /** Reads the session id from the response to `initialize`. */
  read(headers: ResponseHeaders): void {
    const id = headers['mcp-session-id'];
    if (typeof id === 'string' && id.length <= BOUNDS.upstreamSessionId && /^[\x21-\x7e]+$/.test(id)) this.id = id;
  }

  requestHeaders(request: WireRequest): Headers {
    const headers: Headers = { ...this.endpoint.headers, ...request.headers };
    if (this.era === 'legacy' || request.method === 'initialize') return this.withSession(headers);
    headers['mcp-protocol-version'] = this.version ?? MODERN_VERSION;
    headers['mcp-method'] = request.method;
    const named = NAMED_METHODS[request.method];
    const name = named && request.params[named];
    if (typeof name === 'string') headers['mcp-name'] = encodeHeaderValue(name);
    return headers;
  }

  /** Headers of a notification, or of an answer to the server. */
  messageHeaders(method: string): Headers {
    const headers: Headers = { ...this.endpoint.headers };
    if (this.era !== 'modern') return this.withSession(headers);
    headers['mcp-protocol-version'] = this.version ?? MODERN_VERSION;
    headers['mcp-method'] = method;
    return headers;
  }

  /** Headers of a GET; `lastEventId` if it resumes a stream (2025-11-25 transports, Resumability and Redelivery). */
  streamHeaders(lastEventId?: string): Headers {
    const headers = this.withSession({ ...this.endpoint.streamHeaders });
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    return headers;
  }

  deletionHeaders(): Headers {
    return this.withSession({ ...this.endpoint.headers });
  }

  private withSession(headers: Headers): Headers {
    if (this.id !== undefined) headers['mcp-session-id'] = this.id;
    // 2025-06-18 introduced this header
    if (this.version !== undefined && this.version >= '2025-06-18') headers['mcp-protocol-version'] = this.version;
    return headers;
  }
}
