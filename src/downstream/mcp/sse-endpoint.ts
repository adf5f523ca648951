// HTTP+SSE, the transport of 2024-11-05: a GET opens the stream of a session, and the client POSTs its messages to the path that the stream names.
import { NEWEST_LEGACY } from '../../protocol/mcp/vocabulary.ts';
import { serverOf } from '../../core/call.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Caller, Gateway } from '../../gateway/gateway.ts';
import { idOf, type RequestId } from '../../protocol/mcp/frames.ts';
import { sseEndpoint } from '../../protocol/mcp/sse.ts';
import { DuplexConnection } from './duplex-connection.ts';
import { EventConnection } from './http-response.ts';
import type { EndpointLimits } from './limits.ts';
import type { TableSession } from './sessions.ts';
import {
  acceptsStreams,
  type EndpointOptions,
  type EndpointRequest,
  factsOf,
  failRequest,
  readMessage,
  refusedId,
} from './http-request.ts';

const SESSION_PARAMETER = 'sessionId';

export class SseEndpoint {
  private readonly gateway: Gateway;
  private readonly options: EndpointOptions;

  constructor(gateway: Gateway, options: EndpointOptions) {
    this.gateway = gateway;
    this.options = options;
  }

  /** Answers one HTTP request; an error becomes the answer too. */
  async handle(request: EndpointRequest): Promise<void> {
    const { gateway } = this;
    const { method } = request.http;
    const failed: { id: RequestId | undefined } = { id: undefined };
    try {
      if (method === 'GET') this.openStream(request);
      else if (method === 'POST') await this.accept(request, failed);
      else throw new GatewayError('method_not_allowed', 'HTTP+SSE takes GET, which opens the stream, and POST.');
    } catch (thrown) {
      const id = failed.id ?? refusedId(thrown);
      failRequest(request, toGatewayError(thrown), { gateway, id, era: 'legacy', allow: 'GET, POST, OPTIONS' });
    }
  }

  private openStream({ http, response, caller, headers }: EndpointRequest): void {
    const { sessions, limits } = this.options;
    const server = serverOf(caller.endpoint);
    if (!acceptsStreams(http))
      throw new GatewayError('method_not_allowed', 'GET opens an event stream; send `Accept: text/event-stream`.');
    this.gateway.declare(caller.endpoint, NEWEST_LEGACY); // throws for an unknown server
    const { id } = sessions.open(caller.principal, () => {
      const stream = new EventConnection(response, { headers, limits });
      stream.onClose(() => sessions.end(id));
      return new SseSession(this.gateway, { caller, stream, limits });
    });
    const path = server === undefined ? '/sse' : `/mcp/s/${encodeURIComponent(server)}/sse`;
    response.write(sseEndpoint(`${path}?${SESSION_PARAMETER}=${id}`));
  }

  private async accept(request: EndpointRequest, failed: { id: RequestId | undefined }): Promise<void> {
    const { http, response, caller, headers } = request;
    const { searchParams } = new URL(http.url ?? '', 'http://localhost');
    const id = searchParams.get(SESSION_PARAMETER) ?? undefined;
    if (id === undefined)
      throw new GatewayError('session_required', 'The stream that GET opens names the place for messages.');
    const find = () => this.options.sessions.find(id, { caller, kind: SseSession });
    find(); // refuses other callers before it reads their body
    const { value, bytes } = await readMessage(http, this.gateway);
    failed.id = idOf(value);
    find().connection.accept(value, factsOf(http, bytes));
    response.writeHead(202, headers).end();
  }
}

interface SseSessionOptions {
  readonly caller: Caller;
  readonly stream: EventConnection;
  readonly limits: EndpointLimits;
}

/** A session of this transport, which lives exactly as long as its stream. */
class SseSession implements TableSession {
  readonly caller: Caller;
  readonly connection: DuplexConnection;
  readonly busy = true;
  lastUsed = 0;
  private readonly stream: EventConnection;

  constructor(gateway: Gateway, { caller, stream, limits }: SseSessionOptions) {
    this.caller = caller;
    this.stream = stream;
    this.connection = new DuplexConnection(gateway, { caller, limits, send: (text) => stream.send(text) });
  }

  end(): void {
    void this.connection.end(0);
    this.stream.end();
  }
}
