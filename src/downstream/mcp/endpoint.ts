// The MCP endpoint over Streamable HTTP: one path for both eras; each message shows its own era.
import { Cancellation } from '../../core/cancellation.ts';
import type { IncomingMessage } from 'node:http';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonValue } from '../../core/json.ts';
import type { Caller, Gateway } from '../../gateway/gateway.ts';
import { type Frame, idOf, readClientFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { MODERN_VERSION } from '../../protocol/mcp/vocabulary.ts';
import { answerBatch, readBatch } from './batch.ts';
import { EventConnection, HttpResponse } from './http-response.ts';
import type { Answer } from './encode.ts';
import type { EndpointLimits } from './limits.ts';
import { acceptMessage, answerLegacy, handleInitialize, type LegacyContext } from './legacy.ts';
import { answerModern, isModern } from './modern.ts';
import { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import {
  acceptsStreams,
  type EndpointOptions,
  type EndpointRequest,
  factsOf,
  failRequest,
  header,
  readMessage,
  readModernHeaders,
  refusedId,
  requireLegacyVersion,
  VERSION_HEADER,
} from './http-request.ts';

const SESSION_HEADER = 'mcp-session-id';
const EVENT_HEADER = 'last-event-id';

export class McpEndpoint {
  private readonly gateway: Gateway;
  private readonly sessions: Sessions;
  private readonly limits: EndpointLimits;

  constructor(gateway: Gateway, { sessions, limits }: EndpointOptions) {
    this.gateway = gateway;
    this.sessions = sessions;
    this.limits = limits;
  }

  /** Answers one HTTP request; an error becomes the answer too. */
  async handle(request: EndpointRequest): Promise<void> {
    const { http } = request;
    const version = header(http, VERSION_HEADER);
    let id: RequestId | undefined;
    let modern = isModern({}, version);
    try {
      switch (http.method) {
        case 'POST': {
          const { value, bytes } = await readMessage(http, this.gateway);
          id = idOf(value);
          modern = isModern(isObject(value) && isObject(value.params) ? value.params : {}, version);
          if (Array.isArray(value) && !modern && http.headers[SESSION_HEADER] !== undefined) {
            await this.batch(request, value, bytes);
            return;
          }
          const frame = readClientFrame(value);
          await (modern ? this.modern(request, frame, bytes) : this.legacy(request, frame, bytes));
          return;
        }
        case 'GET':
          this.openStream(request);
          return;
        case 'DELETE':
          this.endSession(request);
          return;
        default:
          throw notAllowed();
      }
    } catch (thrown) {
      failRequest(request, toGatewayError(thrown), {
        gateway: this.gateway,
        id: id ?? refusedId(thrown),
        era: modern ? 'modern' : 'legacy',
        allow: modern ? 'POST, OPTIONS' : 'GET, POST, DELETE, OPTIONS',
      });
    }
  }

  private async modern(request: EndpointRequest, frame: Frame, bytes: number): Promise<void> {
    const { http, response, caller, headers } = request;
    if (frame.kind === 'notification') {
      response.writeHead(202, headers).end();
      return;
    }
    if (frame.kind === 'response')
      throw new GatewayError(
        'invalid_request',
        'Clients of 2026-07-28 do not send responses; answers go into `params.inputResponses`.',
      );
    const paramHeaders = readModernHeaders(frame, http.headers);
    if (frame.method === 'subscriptions/listen' && !acceptsStreams(http))
      throw new GatewayError(
        'invalid_request',
        'A listener is told of changes on an event stream; accept text/event-stream.',
      );
    const cancellation = new Cancellation();
    const { limits } = this;
    const streamDelay = acceptsStreams(http) ? limits.bounds.modernStreamDelay : undefined;
    const reply = new HttpResponse(response, { headers, limits, streamDelay });
    // a modern client cancels by closing the stream (patterns/cancellation); it may have done so while a long message was parsed
    if (response.destroyed) cancellation.abort();
    response.on('close', () => {
      if (!response.writableFinished) cancellation.abort();
    });
    const answer = await answerModern(this.gateway, frame, {
      caller,
      facts: factsOf(http, bytes, paramHeaders),
      signal: cancellation.signal,
      send: reply.message,
    });
    reply.end(answer);
  }

  private async legacy(request: EndpointRequest, frame: Frame, bytes: number): Promise<void> {
    const { http, response, caller, headers } = request;
    if (frame.kind === 'request' && frame.method === 'initialize') {
      await this.gateway.prepare(caller.endpoint, 'legacy');
      const { options, answer } = handleInitialize(this.gateway, frame, caller);
      const { limits } = this;
      const { id } = this.sessions.open(caller.principal, () => new Session({ ...options, limits }));
      new HttpResponse(response, { headers: { ...headers, [SESSION_HEADER]: id }, limits }).end(answer);
      return;
    }
    const session = this.find(http, caller);
    if (frame.kind !== 'request') {
      acceptMessage(frame, session);
      response.writeHead(202, headers).end();
      return;
    }
    await this.respond(request, { session, bytes }, (context) => answerLegacy(this.gateway, frame, context));
  }

  /** Answers a batch, which only 2025-03-26 has. */
  private async batch(request: EndpointRequest, values: readonly JsonValue[], bytes: number): Promise<void> {
    const session = this.find(request.http, request.caller);
    const items = readBatch(this.gateway, values, session);
    const isAnswered = items.some(({ kind }) => kind === 'request' || kind === 'fault');
    await this.respond(request, { session, bytes, isAnswered }, (context) => answerBatch(this.gateway, items, context));
  }

  private async respond(
    { http, response, headers }: EndpointRequest,
    { session, bytes, isAnswered = true }: { session: Session; bytes: number; isAnswered?: boolean },
    answering: (context: LegacyContext) => Promise<Answer | undefined>,
  ): Promise<void> {
    const reply = new HttpResponse(response, {
      headers,
      limits: this.limits,
      streamDelay: isAnswered && acceptsStreams(http) ? this.limits.bounds.legacyStreamDelay : undefined,
      resumable: session.openCallStream,
    });
    reply.end(await answering({ session, facts: factsOf(http, bytes), send: reply.message }));
  }

  /** Opens a standing stream of a session; a modern client has none (streamable-http, Earlier Streamable HTTP Revisions). */
  private openStream({ http, response, caller, headers }: EndpointRequest): void {
    if (header(http, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const session = this.find(http, caller);
    if (!acceptsStreams(http))
      throw new GatewayError('method_not_allowed', 'GET opens an event stream; send `Accept: text/event-stream`.');
    const last = header(http, EVENT_HEADER);
    const position = last === undefined ? undefined : session.replay.find(last);
    if (last !== undefined && !position) {
      // 204 makes clients of event streams stop reconnecting (HTML, Server-sent events)
      response.writeHead(204, headers).end();
      return;
    }
    session.openStream(new EventConnection(response, { headers, limits: this.limits }), position);
  }

  /** Finds the session of a request. Throws `unsupported_version` if the request names another version than a legacy one. */
  private find(http: IncomingMessage, caller: Caller): Session {
    const session = this.sessions.find(header(http, SESSION_HEADER), { caller, kind: Session });
    requireLegacyVersion(http);
    return session;
  }

  private endSession({ http, response, caller, headers }: EndpointRequest): void {
    if (header(http, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const id = header(http, SESSION_HEADER);
    this.find(http, caller);
    this.sessions.end(id ?? '');
    response.writeHead(204, headers).end();
  }
}

function notAllowed(): GatewayError {
  return new GatewayError(
    'method_not_allowed',
    'The MCP endpoint takes POST; legacy sessions also GET (their stream) and DELETE (their end).',
  );
}
