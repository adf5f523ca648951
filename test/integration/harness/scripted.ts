// HTTP servers that a test scripts itself: what they answer stands in the test, what they were sent can be looked at.
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { isObject, type JsonObject, type JsonValue } from '../../../src/core/json.ts';

/** One request as it came in. */
export interface Visit {
  readonly http: string;
  /** The JSON-RPC method, or nothing. */
  readonly rpc: string;
  readonly id: JsonValue | undefined;
  readonly params: JsonObject;
  /** What a response brings: the answer to a question of the server. */
  readonly answer: JsonObject;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
}

/** Returns the result to answer with; nothing where the script has answered, or will, or never. */
export type Script = (visit: Visit) => JsonObject | undefined;

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  readonly seen: Visit[];
  /** The first visit, past or to come, that the test looks for. */
  visited(wanted: (visit: Visit) => boolean): Promise<Visit>;
  count(rpc: string): number;
  stop(): Promise<void>;
}

/** Starts a server on a free port, or the one given. */
export async function startScripted(
  script: Script,
  options: { port?: number; tls?: { cert: string; key: string } } = {},
): Promise<ScriptedServer> {
  const seen: Visit[] = [];
  const news = new EventEmitter();
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const message: unknown = text === '' ? {} : JSON.parse(text);
      const { id, method, params, result, error } = isObject(message) ? message : {};
      const said = result ?? error;
      const visit: Visit = {
        http: request.method ?? '',
        rpc: typeof method === 'string' ? method : '',
        id,
        params: isObject(params) ? params : {},
        answer: isObject(said) ? said : {},
        headers: request.headers,
        response,
      };
      const scripted = script(visit);
      if (scripted) answer(visit, scripted);
      seen.push(visit);
      news.emit('visit', visit);
    });
  };
  const server = options.tls ? createTlsServer(options.tls, take) : createServer(take);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}/mcp`,
    port,
    seen,
    visited: async (wanted) => {
      for (;;) {
        const visit = seen.find(wanted);
        if (visit) return visit;
        await once(news, 'visit');
      }
    },
    count: (rpc) => seen.filter((visit) => visit.rpc === rpc).length,
    stop: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** Answers a request with a result, as one JSON body. */
export function answer({ id, response }: Visit, result: JsonObject, headers: Record<string, string> = {}): void {
  response
    .writeHead(200, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

/** Refuses a request by HTTP status, with a JSON-RPC error that names no id, as many servers do; others name that of the request. */
export function refuse(
  { response, id }: Visit,
  status: number,
  { message = `refused with ${status}`, named = false } = {},
): undefined {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', id: named ? id : null, error: { code: -32000, message } }));
  return undefined;
}

/** Opens an event stream as the answer. */
export function openEvents({ response }: Visit): (message: JsonObject) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return (message) => void response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}

export const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  inputSchema: { type: 'object' },
  ...more,
});

export const said = (text: string): JsonObject => ({ resultType: 'complete', content: [{ type: 'text', text }] });

const SERVER = { name: 'scripted', version: '1' };

/** A modern server with these tools; `script` answers what it wants to, first. */
export function modern(tools: () => readonly JsonObject[], script: Script, more: JsonObject = {}): Script {
  return (visit) => {
    const scripted = script(visit);
    if (scripted || visit.response.headersSent) return scripted;
    if (visit.rpc === 'server/discover') {
      return {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {}, ...more },
        _meta: { 'io.modelcontextprotocol/serverInfo': SERVER },
        ttlMs: 0,
        cacheScope: 'public',
      };
    }
    if (visit.rpc === 'initialize') {
      refuse(visit, 400, { named: true, message: 'Unsupported protocol version' });
      return undefined;
    }
    if (visit.rpc === 'tools/list')
      return { resultType: 'complete', ttlMs: 0, cacheScope: 'public', tools: [...tools()] };
    return undefined;
  };
}

/** A legacy server with sessions; `sessions` are those that it knows. */
export function legacy(tools: () => readonly JsonObject[], sessions: Set<string>, script: Script): Script {
  return (visit) => {
    const scripted = script(visit);
    if (scripted || visit.response.headersSent) return scripted;
    if (visit.rpc === 'initialize') {
      const session = `s${sessions.size + 1}-${Math.random()}`;
      sessions.add(session);
      const result = {
        protocolVersion: '2025-06-18',
        capabilities: { tools: { listChanged: true } },
        serverInfo: SERVER,
      };
      answer(visit, result, { 'mcp-session-id': session });
      return undefined;
    }
    if (visit.rpc === 'server/discover') {
      refuse(visit, 400, { message: 'Bad Request: Server not initialized' });
      return;
    }
    if (!sessions.has(String(visit.headers['mcp-session-id']))) {
      refuse(visit, 404, { message: 'Session not found' });
      return;
    }
    if (visit.http === 'DELETE') {
      sessions.delete(String(visit.headers['mcp-session-id']));
      visit.response.writeHead(204).end();
    } else if (visit.http === 'GET') visit.response.writeHead(405).end();
    else if (visit.id === undefined) visit.response.writeHead(202).end();
    else if (visit.rpc === 'tools/list') return { tools: [...tools()] };
    return undefined;
  };
}

/** What came of one modern request to the gateway. */
export interface Outcome {
  readonly result?: JsonObject & { readonly content?: readonly { readonly text?: string }[] };
  readonly error?: { readonly code: number; readonly message: string; readonly data?: JsonObject };
}

let requests = 0;

/**
 * Sends one modern request and reads the answer, whether it comes as JSON or as a stream. `to` is the URL, or the URL with a
 * signal that takes the request back.
 */
export async function ask(
  to: string | { readonly url: string; readonly signal: AbortSignal },
  method: string,
  params: JsonObject = {},
): Promise<Outcome> {
  const { url, ...options } = typeof to === 'string' ? { url: to } : to;
  const name = params.name ?? params.uri;
  const response = await fetch(url, {
    method: 'POST',
    ...options,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': name }),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: ++requests,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          ...(params._meta as JsonObject | undefined),
        },
      },
    }),
  });
  const text = await response.text();
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return JSON.parse(text) as Outcome;
  const last = text.trim().split('\n\n').at(-1) ?? '';
  return JSON.parse(/^data: (.*)$/m.exec(last)?.[1] ?? '') as Outcome;
}

/** Calls a tool and gives its text, or its error's message. */
export async function callText(url: string, name: string, given: JsonObject = {}): Promise<string> {
  const { result, error } = await ask(url, 'tools/call', { name, arguments: given });
  return error ? `${error.code} ${error.message}` : (result?.content?.[0]?.text ?? '');
}

/** The names of the tools on offer. */
export async function toolNames(url: string): Promise<string[]> {
  const { result } = await ask(url, 'tools/list');
  return ((result?.tools ?? []) as { name: string }[]).map((entry) => entry.name);
}
