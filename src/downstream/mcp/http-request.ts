// One HTTP request at an MCP endpoint: reads its headers and its message, and answers it with an error.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Era } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonValue } from '../../core/json.ts';
import type { Caller, Gateway, MessageFacts } from '../../gateway/gateway.ts';
import type { RequestFrame, RequestId } from '../../protocol/mcp/frames.ts';
import { isLegacyVersion, META, MODERN_VERSION, NAMED_METHODS } from '../../protocol/mcp/vocabulary.ts';
import { OverLimit } from '../../protocol/mcp/over-limit.ts';
import { readStrict } from '../../protocol/mcp/strict-json.ts';
import { type Answer, refusedAnswer, unsupportedVersion } from './encode.ts';
import type { EndpointLimits } from './limits.ts';
import type { Sessions } from './sessions.ts';
import { decodeHeaderValue, type ParamHeaders, paramHeadersIn } from '../../protocol/mcp/param-headers.ts';
import { isUtf8 } from 'node:buffer';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { ByteAccumulator } from '../../core/byte-accumulator.ts';

/** A request whose caller may not be authenticated yet. */
export interface FrontRequest {
  /** The request as Node gives it. */
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  /** The CORS headers of every response. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface EndpointRequest extends FrontRequest {
  readonly caller: Caller;
}

/** What the fronts of both transports over HTTP have in common. */
export interface EndpointOptions {
  readonly sessions: Sessions;
  readonly limits: EndpointLimits;
}

export const VERSION_HEADER = 'mcp-protocol-version';

export interface Message {
  readonly value: JsonValue;
  /** The size of the body. */
  readonly bytes: number;
}

/** Reads the body as JSON. Throws the errors of `readBody`, and `unsupported_media_type`, `parse_error` or `invalid_request`. */
export async function readMessage(request: IncomingMessage, gateway: Gateway): Promise<Message> {
  const { limits } = gateway.snapshot.config;
  const type = request.headers['content-type'] ?? '';
  if (type !== 'application/json' && !/^application\/json *(;|$)/i.test(type))
    throw new GatewayError('unsupported_media_type', 'The Content-Type must be application/json.');
  const coding = request.headers['content-encoding'] ?? 'identity';
  if (coding.toLowerCase() !== 'identity')
    throw new GatewayError('unsupported_media_type', 'The body must be sent without a Content-Encoding.');
  const { text, bytes } = await readBody(request, limits.body);
  const { depth, items } = limits;
  return { value: await readStrict(text, { depth, items, uniqueKeys: true }), bytes };
}

/** The id of a request over a limit, which the scan finds before the request is parsed; undefined if there is none. */
export function refusedId(thrown: unknown): RequestId | undefined {
  return thrown instanceof OverLimit && !thrown.isAnswer ? thrown.id : undefined;
}

export interface FailureOptions {
  readonly gateway: Gateway;
  /** The id of the failed request, if it is known. */
  readonly id: RequestId | undefined;
  readonly era: Era;
  /** The HTTP methods of the endpoint. */
  readonly allow: string;
}

/** Answers a request with an error. */
export function failRequest(
  request: EndpointRequest,
  error: GatewayError,
  { gateway, id, era, allow }: FailureOptions,
): void {
  const answer = refusedAnswer(gateway, { id, era, caller: request.caller }, error);
  refuseRequest(request, answer, error.code === 'method_not_allowed' ? { allow } : undefined);
}

/** The value of a header that may stand only once. */
export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** Whether the caller accepts an event stream. */
export function acceptsStreams({ headers: { accept } }: IncomingMessage): boolean {
  return accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*');
}

/** Throws `unsupported_version` if the version header names no legacy revision. Clients before 2025-06-18 send none. */
export function requireLegacyVersion(request: IncomingMessage): void {
  const version = header(request, VERSION_HEADER);
  if (version !== undefined && !isLegacyVersion(version)) throw unsupportedVersion(version);
}

/** The facts about a message that the head of its request holds. */
export function factsOf(request: IncomingMessage, bytes: number, paramHeaders?: ParamHeaders): MessageFacts {
  const { traceparent, tracestate } = request.headers;
  return { bytes, traceparent, tracestate, paramHeaders };
}

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

export interface Body {
  readonly text: string;
  /** The size of the body. */
  readonly bytes: number;
}

/** Reads the body. Throws `body_too_large` at the limit, `parse_error` if it is not UTF-8, `cancelled` if the caller closes the connection. */
export function readBody(request: IncomingMessage, limit: number): Promise<Body> {
  const tooLarge = () => new GatewayError('body_too_large', `The body is larger than ${limit} bytes (limits.body).`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const body = new ByteAccumulator();
    let refused = false;
    request.on('data', (chunk: Buffer) => {
      if (refused) return;
      if (body.length + chunk.length <= limit) {
        body.push(chunk);
        return;
      }
      refused = true;
      body.clear();
      reject(tooLarge());
    });
    request.on('end', () => {
      const whole = body.bytes();
      if (isUtf8(whole)) resolve({ text: whole.toString('utf8'), bytes: whole.length });
      else reject(new GatewayError('parse_error', 'The body is not UTF-8.'));
    });
    request.on('error', () => reject(new GatewayError('cancelled', 'The caller went away while it was sending.')));
  });
}

/**
 * Answers with an error; ends a response that has begun. It answers at once, then discards the rest of the body before it ends the response; the listener bounds the time. If the gateway closed the
 * connection while the client still sends, TCP would reset it, and the client would lose the answer.
 */
export function refuseRequest(
  { http, response, headers }: FrontRequest,
  { status, text }: Pick<Answer, 'status' | 'text'>,
  extra?: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...headers, 'content-type': 'application/json', ...extra, 'content-length': length });
  if (http.complete) {
    response.end(text);
    return;
  }
  response.write(text);
  let left = BOUNDS.discardedBody;
  http.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
  http.on('end', () => response.end());
  http.on('error', () => response.destroy());
}
