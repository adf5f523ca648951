// The MCP endpoint over Streamable HTTP: one path for both eras, told apart message by message.
import { Cancellation } from '../../core/cancellation.ts';
import type { IncomingMessage } from 'node:http';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonValue } from '../../core/json.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { type Frame, idOf, readClientFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { answerBatch, readBatch } from './batch.ts';
import type { Caller } from './caller.ts';
import { EventConnection } from './event-connection.ts';
import { HttpResponse } from './http-response.ts';
import type { EndpointLimits } from './limits.ts';
import { handleInitialize, answerLegacy, takeMessage } from './legacy.ts';
import { answerModern, isModern } from './modern.ts';
import { readModernHeaders } from './modern-headers.ts';
import { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import {
  factsOf,
  failRequest,
  header,
  readMessage,
  refusedId,
  requireLegacyVersion,
  takesStreams,
  VERSION_HEADER,
  type EndpointRequest,
} from './http-request.ts';

const SESSION_HEADER = 'mcp-session-id';
const EVENT_HEADER = 'last-event-id';

export interface McpEndpointOptions {
  readonly sessions: Sessions;
  readonly limits: EndpointLimits;
}

export class McpEndpoint {
  private readonly gateway: Gateway;
  private readonly sessions: Sessions;
  private readonly limits: EndpointLimits;
  private readonly modernLimits: EndpointLimits;

  constructor(gateway: Gateway, { sessions, limits }: McpEndpointOptions) {
    this.gateway = gateway;
    this.sessions = sessions;
    this.limits = limits;
    this.modernLimits = { ...limits, streamAfterMs: limits.modernStreamAfterMs };
  }

  /** Answers one HTTP request, whatever comes of it. */
  async handle(visit: EndpointRequest): Promise<void> {
    let id: RequestId | undefined;
    let modern = isModern({}, header(visit.request, VERSION_HEADER));
    try {
      switch (visit.request.method) {
        case 'POST': {
          const { value, bytes } = await readMessage(visit.request, this.gateway);
          id = idOf(value);
          modern = isModern(
            isObject(value) && isObject(value.params) ? value.params : {},
            header(visit.request, VERSION_HEADER),
          );
          if (Array.isArray(value) && !modern && visit.request.headers[SESSION_HEADER] !== undefined) {
            await this.batch(visit, value, bytes);
            return;
          }
          const frame = readClientFrame(value);
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
      failRequest(visit, toGatewayError(thrown), {
        gateway: this.gateway,
        id: id ?? refusedId(thrown),
        era: modern ? 'modern' : 'legacy',
        allow: modern ? 'POST, OPTIONS' : 'GET, POST, DELETE, OPTIONS',
      });
    }
  }

  private async modern(visit: EndpointRequest, frame: Frame, bytes: number): Promise<void> {
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
    const paramHeaders = readModernHeaders(frame, request.headers);
    if (frame.method === 'subscriptions/listen' && !takesStreams(request))
      throw new GatewayError(
        'invalid_request',
        'A listener is told of changes on an event stream; accept text/event-stream.',
      );
    const left = new Cancellation();
    const reply = new HttpResponse(response, { headers, limits: this.modernLimits, streams: takesStreams(request) });
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

  private async legacy(visit: EndpointRequest, frame: Frame, bytes: number): Promise<void> {
    const { request, response, caller, headers } = visit;
    if (frame.kind === 'request' && frame.method === 'initialize') {
      const { options, answer } = handleInitialize(this.gateway, frame, caller);
      const { limits } = this;
      const { id } = this.sessions.open(caller.principal, () => new Session({ ...options, limits }));
      const named = { ...headers, [SESSION_HEADER]: id };
      new HttpResponse(response, { headers: named, limits, streams: false }).end(answer);
      return;
    }
    const session = this.find(request, caller);
    requireLegacyVersion(request);
    if (frame.kind !== 'request') {
      takeMessage(frame, session);
      response.writeHead(202, headers).end();
      return;
    }
    const reply = new HttpResponse(response, {
      headers,
      limits: this.limits,
      streams: takesStreams(request),
      resumable: session.openCallStream,
    });
    const answer = await answerLegacy(this.gateway, frame, {
      session,
      facts: factsOf(request, bytes),
      send: reply.message,
    });
    if (answer) reply.end(answer);
    else reply.close();
  }

  /** Several messages at once, which 2025-03-26 alone has. */
  private async batch(visit: EndpointRequest, values: readonly JsonValue[], bytes: number): Promise<void> {
    const { request, response, caller, headers } = visit;
    const session = this.find(request, caller);
    requireLegacyVersion(request);
    const items = readBatch(this.gateway, values, session);
    const awaited = items.some(({ kind }) => kind === 'request' || kind === 'fault');
    const reply = new HttpResponse(response, {
      headers,
      limits: this.limits,
      streams: awaited && takesStreams(request),
      resumable: session.openCallStream,
    });
    const answer = await answerBatch(this.gateway, items, {
      session,
      facts: factsOf(request, bytes),
      send: reply.message,
    });
    if (answer) reply.end(answer);
    else reply.close();
  }

  /** The standing stream of a session; a modern client has none (streamable-http, Earlier Streamable HTTP Revisions). */
  private openStream({ request, response, caller, headers }: EndpointRequest): void {
    if (header(request, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const session = this.find(request, caller);
    requireLegacyVersion(request);
    if (!takesStreams(request))
      throw new GatewayError('method_not_allowed', 'GET opens an event stream; send `Accept: text/event-stream`.');
    const last = header(request, EVENT_HEADER);
    const position = last === undefined ? undefined : session.replay.find(last);
    if (last !== undefined && !position) {
      // tells every reader of event streams to stop asking (HTML, Server-sent events)
      response.writeHead(204, headers).end();
      return;
    }
    session.openStream(new EventConnection(response, { headers, limits: this.limits }), position);
  }

  private find(request: IncomingMessage, caller: Caller): Session {
    return this.sessions.find(header(request, SESSION_HEADER), { caller, kind: Session });
  }

  private endSession({ request, response, caller, headers }: EndpointRequest): void {
    if (header(request, VERSION_HEADER) === MODERN_VERSION) throw notAllowed();
    const id = header(request, SESSION_HEADER);
    this.find(request, caller);
    requireLegacyVersion(request);
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
