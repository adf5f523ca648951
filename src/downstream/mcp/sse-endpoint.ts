// HTTP+SSE, the transport of 2024-11-05: a GET opens the stream that is the session, and messages are POSTed to the place that it names.
import { NEWEST_LEGACY } from '../../protocol/mcp/versions.ts';
import { serverOf } from '../../core/call.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { idOf, type RequestId } from '../../protocol/mcp/frames.ts';
import { sseEndpoint } from '../../protocol/mcp/sse.ts';
import type { Caller } from './caller.ts';
import { DuplexConnection } from './duplex-connection.ts';
import { EventConnection } from './event-connection.ts';
import type { EndpointLimits } from './limits.ts';
import type { HeldSession, Sessions } from './sessions.ts';
import { factsOf, failRequest, readMessage, refusedId, takesStreams, type EndpointRequest } from './http-request.ts';

const SESSION_PARAMETER = 'sessionId';

export interface SseEndpointOptions {
  readonly sessions: Sessions;
  readonly limits: EndpointLimits;
}

export class SseEndpoint {
  private readonly gateway: Gateway;
  private readonly options: SseEndpointOptions;

  constructor(gateway: Gateway, options: SseEndpointOptions) {
    this.gateway = gateway;
    this.options = options;
  }

  /** Answers one HTTP request, whatever comes of it. */
  async handle(visit: EndpointRequest): Promise<void> {
    const { gateway } = this;
    const failed: { id: RequestId | undefined } = { id: undefined };
    try {
      if (visit.request.method === 'GET') this.openStream(visit);
      else if (visit.request.method === 'POST') await this.accept(visit, failed);
      else throw new GatewayError('method_not_allowed', 'HTTP+SSE takes GET, which opens the stream, and POST.');
    } catch (thrown) {
      const id = failed.id ?? refusedId(thrown);
      failRequest(visit, toGatewayError(thrown), { gateway, id, era: 'legacy', allow: 'GET, POST, OPTIONS' });
    }
  }

  private openStream({ request, response, caller, headers }: EndpointRequest): void {
    const { sessions, limits } = this.options;
    const server = serverOf(caller.endpoint);
    if (!takesStreams(request))
      throw new GatewayError('method_not_allowed', 'GET opens an event stream; send `Accept: text/event-stream`.');
    if (!this.gateway.declare(server, NEWEST_LEGACY))
      throw new GatewayError('not_found', `There is no server named "${server ?? ''}" here.`);
    const { id } = sessions.open(caller.principal, () => {
      const connection = new EventConnection(response, { headers, limits });
      const channel = new SseChannel(this.gateway, { caller, connection });
      connection.onClose(() => sessions.end(id));
      return channel;
    });
    const path = server === undefined ? '/sse' : `/mcp/s/${encodeURIComponent(server)}/sse`;
    response.write(sseEndpoint(`${path}?${SESSION_PARAMETER}=${id}`));
  }

  private async accept(visit: EndpointRequest, failed: { id: RequestId | undefined }): Promise<void> {
    const { request, response, caller, headers } = visit;
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    const named = searchParams.get(SESSION_PARAMETER) ?? undefined;
    if (named === undefined)
      throw new GatewayError('session_required', 'The stream that GET opens names the place for messages.');
    this.options.sessions.find(named, { caller, kind: SseChannel }); // before anything of a stranger's is read
    const { value, bytes } = await readMessage(request, this.gateway);
    failed.id = idOf(value);
    this.options.sessions.find(named, { caller, kind: SseChannel }).conversation.accept(value, factsOf(request, bytes));
    response.writeHead(202, headers).end();
  }
}

/** A session of this transport: it lives exactly as long as its stream. */
class SseChannel implements HeldSession {
  readonly caller: Caller;
  readonly conversation: DuplexConnection;
  readonly busy = true;
  lastUsed = 0;
  private readonly connection: EventConnection;

  constructor(gateway: Gateway, { caller, connection }: { caller: Caller; connection: EventConnection }) {
    this.caller = caller;
    this.connection = connection;
    this.conversation = new DuplexConnection(gateway, { caller, send: (text) => connection.send(text) });
  }

  end(): void {
    void this.conversation.end(0);
    this.connection.end();
  }
}
