// The MCP endpoint over Streamable HTTP: one path for both eras, told apart message by message.
import { Cancellation } from '../../core/cancellation.ts';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonValue } from '../../core/json.ts';
import { type Gateway } from '../../gateway/gateway.ts';
import { type Frame, idOf, readFrame, type RequestFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { META } from '../../protocol/mcp/meta.ts';
import { isLegacyVersion, MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';
import { readBody, refuseBody } from '../body.ts';
import { answerBatch, readBatch } from './batch.ts';
import { type Caller, type MessageFacts } from './caller.ts';
import { encodeError, unsupportedVersion } from './encode.ts';
import { HttpResponse } from './http-response.ts';
import { agree, answerLegacy, takeMessage } from './legacy.ts';
import { answerModern, isModern } from './modern.ts';
import { checkHeaders, readParamHeaders } from './modern-headers.ts';
import { Sessions } from './sessions.ts';

/** One request at the endpoint. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  /** Headers of every response: CORS. */
  readonly headers: Readonly<Record<string, string>>;
}

const SESSION_HEADER = 'mcp-session-id';
const VERSION_HEADER = 'mcp-protocol-version';

export class McpEndpoint {
  private readonly gateway: Gateway;
  private readonly sessions: Sessions;

  constructor(gateway: Gateway) {
    this.gateway = gateway;
    this.sessions = new Sessions(gateway.snapshot.config.limits.sessions);
  }

  /** Answers one HTTP request, whatever comes of it. */
  async handle(visit: Visit): Promise<void> {
    let id: RequestId | undefined;
    let modern = isModern({}, header(visit.request, VERSION_HEADER));
    try {
      switch (visit.request.method) {
        case 'POST': {
          const { value, bytes } = await this.read(visit.request);
          id = idOf(value);
          modern = isModern(
            isObject(value) && isObject(value.params) ? value.params : {},
            header(visit.request, VERSION_HEADER),
          );
          if (Array.isArray(value) && !modern && visit.request.headers[SESSION_HEADER] !== undefined) {
            await this.batch(visit, value, bytes);
            return;
          }
          const frame = readFrame(value);
          await (modern ? this.modern(visit, frame, bytes) : this.legacy(visit, frame, bytes));
          return;
        }
        case 'GET':
          this.openStream(visit);
          return;
        case 'DELETE':
          this.endSession(visit);
          return;
        default:
          throw notAllowed();
      }
    } catch (thrown) {
      this.fail(visit, toGatewayError(thrown), { id, era: modern ? 'modern' : 'legacy' });
    }
  }

  close(): void {
    this.sessions.close();
  }

  private async read(request: IncomingMessage): Promise<{ value: JsonValue; bytes: number }> {
    const { limits } = this.gateway.snapshot.config;
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/json *(;|$)/i.test(type))
      throw new GatewayError('unsupported_media_type', 'The Content-Type must be application/json.');
    const coding = request.headers['content-encoding'] ?? 'identity';
    if (coding.toLowerCase() !== 'identity')
      throw new GatewayError('unsupported_media_type', 'The body must be sent without a Content-Encoding.');
    const { text, bytes } = await readBody(request, limits.body);
    return { value: parseStrict(text, { depth: limits.depth, uniqueKeys: true }), bytes };
  }

  private async modern(visit: Visit, frame: Frame, bytes: number): Promise<void> {
    const { request, response, caller, headers } = visit;
    if (frame.kind === 'notification') {
      response.writeHead(202, headers).end();
      return;
    }
    if (frame.kind === 'response')
      throw new GatewayError(
        'invalid_request',
        'Clients of 2026-07-28 do not send responses; answers go into `params.inputResponses`.',
      );
    this.checkVersion(frame, request);
    checkHeaders(frame, request.headers);
    const paramHeaders = readParamHeaders(frame, request.headers, {
      catalog: this.gateway.offer,
      permits: (target) => this.gateway.snapshot.policy.decide(target).allowed,
      ...(caller.scope !== undefined && { scope: caller.scope }),
    });
    if (frame.method === 'subscriptions/listen' && !takesStreams(request))
      throw new GatewayError(
        'invalid_request',
        'A listener is told of changes on an event stream; accept text/event-stream.',
      );
    const left = new Cancellation();
    const reply = new HttpResponse(response, { headers, streams: takesStreams(request) });
    // a closed stream is how a modern client cancels (patterns/cancellation)
    response.on('close', () => {
      if (!response.writableFinished) left.abort();
    });
    const answer = await answerModern(this.gateway, frame, {
      caller,
      facts: { ...factsOf(request, bytes), ...(paramHeaders && { paramHeaders }) },
      signal: left.signal,
      send: reply.message,
    });
    if (answer) reply.end(answer);
    else reply.close();
  }

  /** A version that we do not speak is said first, unless header and body differ on it: the rest may mean something else there. */
  private checkVersion(frame: RequestFrame, request: IncomingMessage): void {
    const meta = frame.params._meta;
    const sent = header(request, VERSION_HEADER);
    const version = (isObject(meta) ? meta[META.version] : undefined) ?? sent;
    if (sent !== undefined && sent === version && !isLegacyVersion(sent) && sent !== MODERN_VERSION)
      throw unsupportedVersion(sent);
  }

  private async legacy(visit: Visit, frame: Frame, bytes: number): Promise<void> {
    const { request, response, caller, headers } = visit;
    if (frame.kind === 'request' && frame.method === 'initialize') {
      const { options, answer } = agree(this.gateway, frame, caller);
      const { id } = this.sessions.open(options);
      new HttpResponse(response, { headers: { ...headers, [SESSION_HEADER]: id }, streams: false }).end(answer);
      return;
    }
    const session = this.sessions.find(header(request, SESSION_HEADER), caller);
    requireLegacyVersion(request);
    if (frame.kind !== 'request') {
      takeMessage(frame, session);
      response.writeHead(202, headers).end();
      return;
    }
    const reply = new HttpResponse(response, { headers, streams: takesStreams(request) });
    const answer = await answerLegacy(this.gateway, frame, {
      session,
      facts: factsOf(request, bytes),
      send: reply.message,
    });
    if (answer) reply.end(answer);
    else reply.close();
  }

  /** Several messages at once, which 2025-03-26 alone has. */
  private async batch(visit: Visit, values: readonly JsonValue[], bytes: number): Promise<void> {
    const { request, response, caller, headers } = visit;
    const session = this.sessions.find(header(request, SESSION_HEADER), caller);
    requireLegacyVersion(request);
    const items = readBatch(values, session);
    const awaited = items.some(({ kind }) => kind === 'request' || kind === 'fault');
    const reply = new HttpResponse(response, { headers, streams: awaited && takesStreams(request) });
    const answer = await answerBatch(this.gateway, items, {
      session,
      facts: factsOf(request, bytes),
      send: reply.message,
    });
    if (answer) reply.end(answer);
    else reply.close();
  }

  /** The standing stream of a session; a modern client has none (streamable-http, Earlier Streamable HTTP Revisions). */
  private openStream({ request, response, caller, headers }: Visit): void {
    if (header(request, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const session = this.sessions.find(header(request, SESSION_HEADER), caller);
    requireLegacyVersion(request);
    if (!takesStreams(request))
      throw new GatewayError('method_not_allowed', 'GET opens an event stream; send `Accept: text/event-stream`.');
    const reply = new HttpResponse(response, { headers, streams: true });
    reply.openStream();
    response.flushHeaders();
    const remove = session.addStream({ send: reply.message, close: () => reply.close() });
    response.on('close', () => {
      remove();
      reply.close();
    });
  }

  private endSession({ request, response, caller, headers }: Visit): void {
    if (header(request, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const id = header(request, SESSION_HEADER);
    this.sessions.find(id, caller);
    requireLegacyVersion(request);
    this.sessions.end(id ?? '');
    response.writeHead(204, headers).end();
  }

  private fail(
    { request, response, headers }: Visit,
    error: GatewayError,
    { id, era }: { id: RequestId | undefined; era: 'legacy' | 'modern' },
  ): void {
    if (error.code === 'internal') this.gateway.logger.error({ err: error.cause }, 'a request failed');
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const { text, status } = encodeError(id, error, era);
    const extra: Record<string, string> = { 'content-type': 'application/json' };
    if (error.code === 'method_not_allowed')
      extra.allow = era === 'modern' ? 'POST, OPTIONS' : 'GET, POST, DELETE, OPTIONS';
    refuseBody(request, response, { status, headers: { ...headers, ...extra }, text });
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function requireLegacyVersion(request: IncomingMessage): void {
  const version = header(request, VERSION_HEADER);
  if (version !== undefined && !isLegacyVersion(version)) throw unsupportedVersion(version);
}

function takesStreams(request: IncomingMessage): boolean {
  const accept = request.headers.accept;
  return accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*');
}

function notAllowed(): GatewayError {
  return new GatewayError(
    'method_not_allowed',
    'The MCP endpoint takes POST; legacy sessions also GET (their stream) and DELETE (their end).',
  );
}

function factsOf(request: IncomingMessage, bytes: number): MessageFacts {
  const { traceparent, tracestate } = request.headers;
  return { bytes, ...(traceparent !== undefined && { traceparent }), ...(tracestate !== undefined && { tracestate }) };
}
