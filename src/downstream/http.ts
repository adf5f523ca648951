// The HTTP front: checks every head, authenticates, and leads each path to its handler; the hot path goes straight from node:http.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { ALL_SERVERS, type Endpoint } from '../core/call.ts';
import { type ErrorCode, ERRORS, GatewayError, toGatewayError } from '../core/errors.ts';
import { LOCAL, type Principal } from '../core/principal.ts';
import { within } from '../core/wait.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { errorText } from '../protocol/mcp/frames.ts';
import { refuseBody } from './body.ts';
import { corsHeaders, preflightHeaders } from './cors.ts';
import { compileGuard, type Head, type RawHead, readTarget } from './guard.ts';
import type { Peers } from './peers.ts';
import { McpEndpoint } from './mcp/endpoint.ts';
import { type EndpointLimits, LIMITS } from './mcp/limits.ts';
import { Sessions } from './mcp/sessions.ts';
import { SseEndpoint } from './mcp/sse-endpoint.ts';

export type FrontOptions = {
  readonly gateway: Gateway;
  readonly limits?: EndpointLimits;
} & (
  | { readonly network: NetworkOptions; readonly control?: undefined }
  /** On the control socket: takes the proof of each request. Throws GatewayError. */
  | { readonly control: (request: IncomingMessage) => void; readonly network?: undefined }
);

export interface NetworkOptions {
  /** Whether every bound address is a loopback one. */
  readonly loopback: boolean;
  /** Tells our own server processes from clients where no token does. */
  readonly peers?: Peers;
}

/** A front's listener, and the way to end its sessions and their streams. */
export interface Front {
  readonly listener: RequestListener;
  /** Resolves when every answer that was given is on its way, or after 1 s. */
  close(): Promise<void>;
}

/** How long answers that were given may take to be written, at the end. */
const LAST_ANSWERS_MS = 1_000;

/** One request and its response, with the headers that every answer to it carries. */
interface HttpVisit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
}

const SERVER_PATH = /^\/mcp\/s\/([^/]+)(\/sse)?$/;
/** A name of 128 characters, each of them percent-encoded. */
const LONGEST_NAME = 128 * 9;

/** Makes the request listener of one front. */
export function createFront({ gateway, network, control, limits = LIMITS }: FrontOptions): Front {
  const sessions = new Sessions(gateway.snapshot.config.limits.sessions, limits);
  const endpoint = new McpEndpoint(gateway, { sessions, limits });
  const sseEndpoint = new SseEndpoint(gateway, { sessions, limits });
  const checkHead = network ? guardOf(gateway, network.loopback) : proven(control);
  let admin: Promise<RequestListener> | undefined; // loaded by the first who asks: it is no part of the hot path

  const authenticate = (request: IncomingMessage): Principal =>
    network ? gateway.snapshot.authenticate(request.headers.authorization) : LOCAL; // its proof was taken with its head

  const handle = async (visit: HttpVisit, { origin, path }: Head): Promise<void> => {
    const { request, response, headers } = visit;
    if (request.method === 'OPTIONS' && origin !== undefined) {
      answerPreflight(request, response, origin);
      return;
    }
    const route = routeOf(path);
    if (route && (route.sse || !isBrowser(request))) {
      const { endpoint: at, sse } = route;
      const principal = authenticate(request);
      const address = request.socket.remoteAddress;
      const caller = {
        principal,
        transport: sse ? 'sse' : 'streamable-http',
        endpoint: at,
        ...(address !== undefined && { address }),
      } as const;
      await (sse ? sseEndpoint : endpoint).handle({ request, response, caller, headers });
      return;
    }
    admin ??= import('./admin/app.ts').then(({ createAdmin }) =>
      createAdmin(gateway, { control: network === undefined, detailed: network?.loopback ?? true }),
    );
    const app = await admin;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    app(request, response);
  };

  let serving = 0;
  let served = Promise.withResolvers<void>();

  /** Headers for browsers stand on refusals too: a page that may not read a 401 cannot sign in. */
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let headers = corsHeaders(undefined);
    serving++;
    try {
      const head = checkHead(request);
      const { tokens } = gateway.snapshot.config.auth;
      const examined = tokens.length === 0 ? network?.peers?.admit(request.socket) : undefined;
      if (examined) await examined;
      headers = corsHeaders(head.origin);
      await handle({ request, response, headers }, head);
    } catch (thrown) {
      const error = toGatewayError(thrown);
      gateway.refused(error, { address: network ? request.socket.remoteAddress : 'control socket' });
      refuse({ request, response, headers }, error, gateway);
    } finally {
      if (--serving === 0) served.resolve();
    }
  };

  return {
    listener: (request, response) => void serve(request, response),
    close: async () => {
      served = Promise.withResolvers();
      if (serving > 0) await within(served.promise, LAST_ANSWERS_MS);
      sessions.close();
      limits.backlog.flush();
    },
  };
}

/** The MCP endpoint of a path: of all servers or of one, over Streamable HTTP or HTTP+SSE; undefined for other pages. */
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

function answerPreflight(request: IncomingMessage, response: ServerResponse, origin: string): void {
  const wanted = request.headers['access-control-request-headers'];
  const privateNetwork = request.headers['access-control-request-private-network'] === 'true';
  response.writeHead(204, preflightHeaders(origin, wanted, privateNetwork)).end();
}

/** The name of a server as it stands in a URL. Throws `not_found` where no server can have it. */
function decodeName(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    if (segment.length <= LONGEST_NAME) return decodeURIComponent(segment);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new GatewayError(
    'not_found',
    'The name of the server in the path is not percent-encoded UTF-8 of at most 128 characters.',
  );
}

/** A person who opens an endpoint: MCP clients ask for an event stream, and never for a page. */
function isBrowser({ method, headers: { accept = '' } }: IncomingMessage): boolean {
  return method === 'GET' && accept.includes('text/html') && !accept.includes('text/event-stream');
}

/** The guard of the configuration in force; compiled again when that changed. */
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

/** The check of the control socket's heads, which name no Host and no Origin that matter. */
function proven(control: (request: IncomingMessage) => void): (request: IncomingMessage) => Head {
  return (request) => {
    control(request);
    return { origin: undefined, path: readTarget(request.url ?? '/').path };
  };
}

/** What a 401 asks for (RFC 9110 section 11.6.1). */
const CHALLENGES: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'Bearer realm="mcp-gateway"',
  control_key_required: 'Control',
};

/** Refuses a request before its endpoint saw it: a JSON-RPC error without id, which plain HTTP clients can read too. */
function refuse({ request, response, headers }: HttpVisit, error: GatewayError, gateway: Gateway): void {
  if (error.code === 'internal') gateway.logger.error({ err: error.cause }, 'a request failed');
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { http, jsonRpc } = ERRORS[error.code];
  const challenge = CHALLENGES[error.code];
  refuseBody(request, response, {
    status: http,
    headers: { ...headers, 'content-type': 'application/json', ...(challenge && { 'www-authenticate': challenge }) },
    text: errorText(undefined, { code: jsonRpc, message: error.message, data: { reason: error.code } }),
  });
}
