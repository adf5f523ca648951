// The HTTP front: checks the head of every request, authenticates the caller, and routes the path to its handler.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { ALL_SERVERS, type Endpoint } from '../core/call.ts';
import { type ErrorCode, ERRORS, GatewayError, toGatewayError } from '../core/errors.ts';
import { LOCAL, type Principal } from '../core/principal.ts';
import { InFlight } from '../core/in-flight.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { errorText } from '../protocol/mcp/frames.ts';
import { type FrontRequest, refuseRequest } from './mcp/http-request.ts';
import { compileGuard, corsHeaders, type Head, preflightHeaders, type RawHead, readTarget } from './guard.ts';
import type { Peers } from './peers.ts';
import { McpEndpoint } from './mcp/endpoint.ts';
import type { EndpointLimits } from './mcp/limits.ts';
import { Sessions } from './mcp/sessions.ts';
import { SseEndpoint } from './mcp/sse-endpoint.ts';

export type FrontOptions = {
  readonly gateway: Gateway;
  readonly limits: EndpointLimits;
} & (
  | { readonly network: NetworkOptions; readonly control?: undefined }
  /** On the control socket: checks the proof of each request. Throws GatewayError. */
  | { readonly control: (request: IncomingMessage) => void; readonly network?: undefined }
);

export interface NetworkOptions {
  /** Whether every bound address is a loopback one. */
  readonly loopback: boolean;
  /** Refuses connections of the gateway's own server processes when no tokens are configured. */
  readonly peers?: Peers;
}

/** The request listener of a front, and its end. */
export interface Front {
  readonly listener: RequestListener;
  /** Ends all sessions. Resolves when running requests have written their answers, or after `shutdownAnswerTime`. */
  close(): Promise<void>;
}

const SERVER_PATH = /^\/mcp\/s\/([^/]+)(\/sse)?$/;

/** Makes the request listener of one front. */
export function createFront({ gateway, network, control, limits }: FrontOptions): Front {
  const sessions = new Sessions(gateway.snapshot.config.limits.sessions, limits);
  const endpoint = new McpEndpoint(gateway, { sessions, limits });
  const sseEndpoint = new SseEndpoint(gateway, { sessions, limits });
  const checkHead = network ? guardOf(gateway, network.loopback) : controlCheck(control);
  let admin: Promise<RequestListener> | undefined; // loaded at its first request

  const authenticate = (http: IncomingMessage): Principal =>
    network ? gateway.snapshot.authenticate(http.headers.authorization) : LOCAL; // `checkHead` has checked the proof

  const handle = ({ http, response, headers }: FrontRequest, { origin, path }: Head): Promise<void> | void => {
    if (http.method === 'OPTIONS' && origin !== undefined) {
      answerPreflight(http, response, origin);
      return;
    }
    const route = routeOf(path);
    if (route && (route.sse || !isBrowser(http))) {
      const { sse } = route;
      const principal = authenticate(http);
      const caller = {
        principal,
        transport: sse ? 'sse' : 'streamable-http',
        endpoint: route.endpoint,
        address: http.socket.remoteAddress,
      } as const;
      return (sse ? sseEndpoint : endpoint).handle({ http, response, caller, headers });
    }
    return administer(http, response, headers);
  };

  const administer = async (http: IncomingMessage, response: ServerResponse, headers: FrontRequest['headers']) => {
    admin ??= import('./admin/app.ts').then(({ createAdmin }) =>
      createAdmin(gateway, { control: network === undefined, detailed: network?.loopback ?? true }),
    );
    const app = await admin;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    app(http, response);
  };

  const running = new InFlight();

  /** Refusals carry CORS headers too, because a page that may not read a 401 cannot sign in. */
  const serve = async (http: IncomingMessage, response: ServerResponse): Promise<void> => {
    let headers = corsHeaders(undefined);
    try {
      const head = checkHead(http);
      const { tokens } = gateway.snapshot.config.auth;
      const admission = tokens.length === 0 ? network?.peers?.admit(http.socket) : undefined;
      if (admission) await admission;
      // nothing would tell a stream of the end of a connection that has ended already
      if (response.destroyed) throw new GatewayError('cancelled', 'The caller went away before it was admitted.');
      headers = corsHeaders(head.origin);
      await handle({ http, response, headers }, head);
    } catch (thrown) {
      const error = toGatewayError(thrown);
      gateway.refused(error, { address: network ? http.socket.remoteAddress : 'control socket' });
      refuse({ http, response, headers }, error, gateway);
    }
  };

  return {
    listener: (request, response) => void running.track(serve(request, response)),
    close: async () => {
      await running.settled(limits.bounds.shutdownAnswerTime);
      sessions.close();
      limits.writeBudget.flush();
    },
  };
}

/** The MCP endpoint of a path: all servers or one, over Streamable HTTP or HTTP+SSE; undefined for other paths. */
function routeOf(path: string): { readonly endpoint: Endpoint; readonly sse: boolean } | undefined {
  if (path === '/mcp') return ALL;
  if (path === '/sse') return ALL_SSE;
  const [, name, suffix] = SERVER_PATH.exec(path) ?? [];
  return name === undefined
    ? undefined
    : { endpoint: { kind: 'server', name: decodeName(name) }, sse: suffix !== undefined };
}

const ALL = { endpoint: ALL_SERVERS, sse: false };
const ALL_SSE = { endpoint: ALL_SERVERS, sse: true };

function answerPreflight(http: IncomingMessage, response: ServerResponse, origin: string): void {
  const requested = http.headers['access-control-request-headers'];
  const privateNetwork = http.headers['access-control-request-private-network'] === 'true';
  response.writeHead(204, preflightHeaders(origin, requested, privateNetwork)).end();
}

/** Decodes the name of a server in a path. Throws `not_found` if no server can have it. */
function decodeName(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    if (segment.length <= BOUNDS.serverPathName) return decodeURIComponent(segment);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new GatewayError(
    'not_found',
    'The name of the server in the path is not percent-encoded UTF-8 of at most 128 characters.',
  );
}

/** Whether a person opens an endpoint in a browser: MCP clients accept event streams, not pages. */
function isBrowser({ method, headers: { accept = '' } }: IncomingMessage): boolean {
  return method === 'GET' && accept.includes('text/html') && !accept.includes('text/event-stream');
}

/** The guard of the configuration in force; compiles it again after a reload. */
function guardOf(gateway: Gateway, loopback: boolean): (head: RawHead) => Head {
  let { listen } = gateway.snapshot.config;
  let guard = compileGuard({ loopback, ...listen });
  return (head) => {
    if (gateway.snapshot.config.listen !== listen) {
      ({ listen } = gateway.snapshot.config);
      guard = compileGuard({ loopback, ...listen });
    }
    return guard(head);
  };
}

/** The check of heads on the control socket, where Host and Origin do not matter. */
function controlCheck(checkProof: (request: IncomingMessage) => void): (request: IncomingMessage) => Head {
  return (request) => {
    checkProof(request);
    return { origin: undefined, path: readTarget(request.url ?? '/').path };
  };
}

/** The challenge of a 401 (RFC 9110 section 11.6.1). */
const CHALLENGES: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'Bearer realm="mcp-gateway"',
  control_key_required: 'Control',
};

/** Refuses a request before it reaches its endpoint, with a JSON-RPC error without id, which plain HTTP clients can read too. */
function refuse(request: FrontRequest, error: GatewayError, gateway: Gateway): void {
  if (error.code === 'internal') gateway.logger.error({ err: error.cause }, 'a request failed');
  const { http: status, jsonRpc } = ERRORS[error.code];
  const challenge = CHALLENGES[error.code];
  const text = errorText(undefined, { code: jsonRpc, message: error.message, data: { reason: error.code } });
  refuseRequest(request, { status, text }, challenge === undefined ? undefined : { 'www-authenticate': challenge });
}
