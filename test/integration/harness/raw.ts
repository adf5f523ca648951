// Clients made of bare HTTP and bare pipes: what a test sends is what stands here, and what it gets is what came.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { createInterface } from 'node:readline';
import { createParser } from 'eventsource-parser';
import { isObject, type JsonObject, type JsonValue } from '../../../src/core/json.ts';
import { BIN } from './gateway.ts';

export const MODERN = '2026-07-28';

export type HeaderList = Readonly<Record<string, string | string[]>>;

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: HeaderList;
  readonly body?: string | Buffer;
  /** The loopback address that it comes from. */
  readonly from?: string;
  /** What keeps its connection for the next request; without one, each request has a connection of its own. */
  readonly connections?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Keeps no connection: each request stands for itself. */
const apart = new Agent({ keepAlive: false });

/** Sends one request without waiting for what comes of it. A header with a list of values is sent once for each. */
export function open(
  origin: string,
  { method = 'POST', path = '/mcp', headers = {}, body, from, connections = apart }: Sent,
): ClientRequest {
  const { hostname, port, host } = new URL(origin);
  const lines = Object.entries({ Host: host, ...headers }).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  if (body !== undefined && !('Transfer-Encoding' in headers))
    lines.push(['Content-Length', String(Buffer.byteLength(body))]);
  const request = httpRequest({
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    method,
    path,
    agent: connections,
    ...(from !== undefined && { localAddress: from }),
    setHost: false,
    headers: lines.flat() as unknown as Record<string, string>, // Node takes a flat list too, which alone can repeat a name
  });
  request.end(body);
  return request;
}

/** Sends one request and reads its whole answer. */
export async function send(origin: string, sent: Sent): Promise<Answer> {
  const [response] = (await once(open(origin, sent), 'response')) as [IncomingMessage];
  return readAnswer(response);
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}

/** The one JSON-RPC message of an answer, whether it came as JSON or at the end of a stream. */
export function messageOf({ headers, text }: Answer): JsonObject {
  const json = headers['content-type']?.startsWith('text/event-stream') ? (eventsOf(text).at(-1) ?? '') : text;
  const value: unknown = JSON.parse(json);
  if (!isObject(value)) throw new Error(`not a message: ${text}`);
  return value;
}

function eventsOf(text: string): string[] {
  const events: string[] = [];
  createParser({
    onEvent: ({ data }) => {
      if (data !== '') events.push(data);
    },
  }).feed(text);
  return events;
}

/** The error object of an answer; empty where it is none. */
export function errorOf(answer: Answer): JsonObject {
  const { error } = messageOf(answer);
  return isObject(error) ? error : {};
}

/** The result of an answer; empty where it is none. */
export function resultOf(answer: Answer): JsonObject {
  const { result } = messageOf(answer);
  return isObject(result) ? result : {};
}

const JSON_HEADERS = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

/** What a modern request carries in `_meta`. */
export function modernMeta(extra: JsonObject = {}): JsonObject {
  return {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
    ...extra,
  };
}

export interface ModernOptions {
  readonly id?: string | number;
  readonly meta?: JsonObject;
  readonly path?: string;
  /** Above those that the request needs; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
}

/** What `Mcp-Name` says of a request. */
function mirrored(method: string, params: JsonObject): JsonValue | undefined {
  if (method === 'resources/read') return params.uri;
  if (method.startsWith('tasks/')) return params.taskId;
  return method.endsWith('/call') || method.endsWith('/get') ? params.name : undefined;
}

/** A correct modern request over HTTP, but for what the options change. */
export function modern(method: string, params: JsonObject = {}, options: ModernOptions = {}): Sent {
  const { id = 1, meta, path = '/mcp', headers = {} } = options;
  const name = mirrored(method, params);
  const all: Record<string, string | string[] | undefined> = {
    ...JSON_HEADERS,
    'MCP-Protocol-Version': MODERN,
    'Mcp-Method': method,
    ...(typeof name === 'string' && { 'Mcp-Name': name }),
    ...headers,
  };
  return {
    path,
    headers: Object.fromEntries(
      Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    ),
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: modernMeta(meta) } }),
  };
}

/** A legacy session over HTTP. */
export interface LegacySession {
  readonly id: string;
  /** A request of this session, to be sent. */
  request(method: string, params?: JsonObject, options?: { id?: string | number; headers?: HeaderList }): Sent;
  notification(method: string, params?: JsonObject): Sent;
  get(headers?: HeaderList): Sent;
  delete(headers?: HeaderList): Sent;
  post(body: string): Sent;
}

/** Opens a session with `initialize` and `initialized`. */
export async function openSession(
  origin: string,
  {
    version = '2025-11-25',
    path = '/mcp',
    headers = {},
    capabilities = {},
  }: { version?: string; path?: string; headers?: HeaderList; capabilities?: JsonObject } = {},
): Promise<LegacySession> {
  const body = initialize(version, 0, capabilities);
  const answer = await send(origin, { path, headers: { ...JSON_HEADERS, ...headers }, body });
  const id = answer.headers['mcp-session-id'];
  if (typeof id !== 'string') throw new Error(`no session: ${answer.status} ${answer.text}`);
  const own = { 'Mcp-Session-Id': id, 'MCP-Protocol-Version': version, ...headers };
  const session: LegacySession = {
    id,
    request: (method, params = {}, options = {}) => ({
      path,
      headers: { ...JSON_HEADERS, ...own, ...options.headers },
      body: JSON.stringify({ jsonrpc: '2.0', id: options.id ?? 1, method, params }),
    }),
    notification: (method, params = {}) => session.post(JSON.stringify({ jsonrpc: '2.0', method, params })),
    get: (more = {}) => ({ method: 'GET', path, headers: { Accept: 'text/event-stream', ...own, ...more } }),
    delete: (more = {}) => ({ method: 'DELETE', path, headers: { ...own, ...more } }),
    post: (body) => ({ path, headers: { ...JSON_HEADERS, ...own }, body }),
  };
  await send(origin, session.notification('notifications/initialized'));
  return session;
}

/** The text of an `initialize` request. */
export function initialize(version = '2025-11-25', id: string | number = 0, capabilities: JsonObject = {}): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion: version, capabilities, clientInfo: { name: 'raw', version: '1' } },
  });
}

/** Messages in the order in which they come, to be waited for one by one. */
export class Inbox {
  /** Everything that came so far, taken or not. */
  readonly all: JsonObject[] = [];
  private taken = 0;
  private over = false;
  private wake: (() => void) | undefined;

  add(text: string): void {
    this.all.push(JSON.parse(text) as JsonObject); // or a batch, for those who sent one
    this.wake?.();
  }

  end(): void {
    this.over = true;
    this.wake?.();
  }

  /** The next message; undefined when there will be none. */
  async next(): Promise<JsonObject | undefined> {
    while (this.taken === this.all.length && !this.over) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.all[this.taken++];
  }

  /** The next message that is of this method, or answers this id; those before it are passed over. */
  async find(wanted: { method: string } | { id: string | number }): Promise<JsonObject> {
    for (;;) {
      const message = await this.next();
      if (message === undefined)
        throw new Error(`ended without ${JSON.stringify(wanted)}: ${JSON.stringify(this.all)}`);
      if ('method' in wanted ? message.method === wanted.method : message.id === wanted.id && !('method' in message))
        return message;
    }
  }
}

export interface EventStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly inbox: Inbox;
  /** Where messages go, once HTTP+SSE has said so. */
  readonly endpoint: Promise<string>;
  /** The id of the first event that has one. */
  readonly firstId: Promise<string>;
  /** Every byte that came, comments too. */
  raw(): string;
  /** Closes the connection, as a client that goes away does. */
  close(): void;
  /** Resolves when the gateway has ended the stream. */
  readonly ended: Promise<void>;
}

/** Sends a request and reads its answer as a stream of events. */
export async function stream(origin: string, sent: Sent): Promise<EventStream> {
  const request = open(origin, sent);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const inbox = new Inbox();
  const endpoint = Promise.withResolvers<string>();
  const firstId = Promise.withResolvers<string>();
  const parser = createParser({
    onEvent: ({ event, data, id }) => {
      if (id !== undefined) firstId.resolve(id);
      if (event === 'endpoint') endpoint.resolve(data);
      else if (data !== '') inbox.add(data);
    },
  });
  let raw = '';
  response.setEncoding('utf8');
  response.on('data', (text: string) => {
    raw += text;
    parser.feed(text);
  });
  const ended = new Promise<void>((resolve) => response.once('close', resolve)).then(() => inbox.end());
  response.on('error', () => inbox.end());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    inbox,
    endpoint: endpoint.promise,
    firstId: firstId.promise,
    raw: () => raw,
    close: () => request.destroy(),
    ended,
  };
}

/** A client of `mcp-gateway stdio` that writes what it is told. */
export interface RawPipe {
  readonly process: ChildProcess;
  readonly inbox: Inbox;
  /** Writes one line. */
  line(text: string): void;
  request(id: string | number, method: string, params?: JsonObject): void;
  notify(method: string, params?: JsonObject): void;
  /** Ends stdin; resolves with the exit status. */
  end(): Promise<number | null>;
}

const live = new Set<ChildProcess>();
process.on('exit', () => live.forEach((child) => child.kill('SIGKILL')));

/** Starts `mcp-gateway stdio`. */
export function openPipe({ config, state }: { config: string; state: string }): RawPipe {
  const child = spawn(process.execPath, [BIN, 'stdio', '--config', config, '--state', state], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  live.add(child);
  const exited = once(child, 'exit').then(() => live.delete(child));
  const inbox = new Inbox();
  createInterface(child.stdout)
    .on('line', (line) => inbox.add(line))
    .on('close', () => inbox.end());
  const line = (text: string) => void child.stdin.write(`${text}\n`);
  return {
    process: child,
    inbox,
    line,
    request: (id, method, params = {}) => line(JSON.stringify({ jsonrpc: '2.0', id, method, params })),
    notify: (method, params = {}) => line(JSON.stringify({ jsonrpc: '2.0', method, params })),
    end: async () => {
      child.stdin.end();
      await exited;
      return child.exitCode;
    },
  };
}
