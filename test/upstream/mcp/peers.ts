// Servers whose messages a test writes itself, one for each transport, and the wire to each of them.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPort, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import { onTestFinished } from '../../apart.ts';
import type { Timeouts } from '../../../src/config/config.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { type Exchange, ownExchange, type QuestionAnswer } from '../../../src/core/exchange.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { Deadlines } from '../../../src/upstream/mcp/wire/pending.ts';
import type { HttpWireOptions } from '../../../src/upstream/mcp/wire/http-exchange.ts';
import { HttpWire } from '../../../src/upstream/mcp/wire/http-wire.ts';
import { SseWire } from '../../../src/upstream/mcp/wire/sse-wire.ts';
import { StdioWire } from '../../../src/upstream/mcp/wire/stdio-wire.ts';
import { Redaction } from '../../../src/upstream/mcp/redaction.ts';
import type { ServerRequest, Wire, WireEvents } from '../../../src/upstream/mcp/wire/wire.ts';
import { containment, fixture } from './processes.ts';

/** A list whose next values can be awaited. */
export class Seen<T> {
  readonly all: T[] = [];
  private waiting: { passes: (value: T) => boolean; resolve: (value: T) => void }[] = [];

  add(value: T): void {
    this.all.push(value);
    const due = this.waiting.filter(({ passes }) => passes(value));
    this.waiting = this.waiting.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve(value);
  }

  /** The first value that passes, past or future. */
  first(passes: (value: T) => boolean): Promise<T> {
    const early = this.all.find(passes);
    return early === undefined
      ? new Promise((resolve) => this.waiting.push({ passes, resolve }))
      : Promise.resolve(early);
  }
}

/** A server request that the wire passed on, which the test answers. */
export interface ReceivedRequest extends ServerRequest {
  answer(answer: QuestionAnswer): void;
  refuse(error: Error): void;
}

/** What a wire reported. */
export class Report implements WireEvents {
  readonly notifications = new Seen<{ method: string; params: JsonObject }>();
  readonly requests = new Seen<ReceivedRequest>();
  readonly logs = new Seen<JsonObject>();
  readonly diagnostics = new Seen<string>();
  readonly ends = new Seen<string>();
  misses = 0;
  /** How often a process ended before it answered its first ping. */
  unpinged = 0;

  notification(method: string, params: JsonObject): void {
    this.notifications.add({ method, params });
  }

  closed(reason: string): void {
    this.ends.add(reason);
  }

  missed(): void {
    this.misses++;
  }

  serverRequest(request: ServerRequest): Promise<QuestionAnswer> {
    return new Promise((answer, refuse) => this.requests.add({ ...request, answer, refuse }));
  }

  log(params: JsonObject): void {
    this.logs.add(params);
  }

  diagnostic(what: string): void {
    this.diagnostics.add(what);
  }
}

/** A message of the gateway. */
export interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: JsonObject;
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface Peer {
  readonly wire: Wire;
  readonly report: Report;
  /** What the gateway sent. */
  readonly sent: Seen<Message>;
  /** Sends bytes: on the stream of a request, or on the shared stream. */
  raw(bytes: string | Uint8Array, of?: number): void;
  /** Sends one message, framed for the transport. */
  say(message: JsonObject | string, of?: number): void;
  /** Ends the channel. */
  hangUp(): void;
}

export const TIMEOUTS: Timeouts = {
  start: 5_000,
  connect: 5_000,
  firstByte: 5_000,
  idle: 5_000,
  ping: 5_000,
  total: 5_000,
};

interface PeerOptions {
  readonly timeouts?: Partial<Timeouts>;
  readonly maxMessageBytes?: number;
  readonly maxItems?: number;
  /** The HTTP status that refuses a message; undefined if the server accepts it. */
  readonly refuses?: (message: Message) => number | undefined;
}

const textOf = (message: JsonObject | string): string =>
  typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message });

async function stdioPeer({ maxMessageBytes = 1 << 20, maxItems = 100_000, timeouts }: PeerOptions): Promise<Peer> {
  const sent = new Seen<Message>();
  const report = new Report();
  const port = createPort();
  port.listen(0, '127.0.0.1');
  await once(port, 'listening');
  const wire = new StdioWire({
    server: 's',
    maxMessageBytes,
    maxItems,
    redaction: new Redaction([]),
    pings: true,
    endedUnpinged: () => {
      report.unpinged++;
    },
    deadlines: new Deadlines(),
    events: report,
    timeouts: { ...TIMEOUTS, ...timeouts },
    process: {
      command: process.execPath,
      args: [fixture('pipe.ts'), String((port.address() as AddressInfo).port)],
      env: { PATH: process.env.PATH! },
      cwd: '/',
      redact: [],
      containment,
    },
  });
  const connected = once(port, 'connection') as Promise<[Socket]>;
  await wire.start();
  const [socket] = await connected;
  createInterface({ input: socket }).on('line', (line) => sent.add(JSON.parse(line) as Message));
  socket.on('error', () => undefined);
  onTestFinished(async () => {
    await wire.close();
    socket.destroy();
    port.close();
  });
  return {
    wire,
    report,
    sent,
    raw: (bytes) => void socket.write(bytes),
    say: (message) => void socket.write(`${textOf(message)}\n`),
    hangUp: () => socket.destroy(),
  };
}

/** An HTTP request that came in. */
export interface Visit {
  readonly http: string;
  readonly message: Message;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
}

export interface WebPeer {
  readonly url: string;
  readonly visits: Seen<Visit>;
  hangUp(): void;
}

/** Listens, and passes every request to `serve`. */
export async function web(serve: (visit: Visit) => void): Promise<WebPeer> {
  const visits = new Seen<Visit>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const message = (text === '' ? {} : JSON.parse(text)) as Message;
      const visit = { http: request.method ?? '', message, headers: request.headers, response };
      serve(visit);
      visits.add(visit);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    visits,
    hangUp: () => server.closeAllConnections(),
  };
}

/** The options of every wire over HTTP. */
export function httpOptions(url: string, report: Report, options: PeerOptions = {}): HttpWireOptions {
  return {
    server: 's',
    url,
    headers: {},
    dispatcher: new Pool(new URL(url).origin, { connections: 256, headersTimeout: 5_000, bodyTimeout: 5_000 }),
    timeouts: { ...TIMEOUTS, ...options.timeouts },
    maxMessageBytes: options.maxMessageBytes ?? 1 << 20,
    maxItems: options.maxItems ?? 100_000,
    deadlines: new Deadlines(),
    events: report,
    redaction: new Redaction([]),
  };
}

/** Makes a response an event stream, if it is not one yet. */
export function stream(response: ServerResponse): ServerResponse {
  if (response.headersSent) return response;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return response;
}

async function ssePeer(options: PeerOptions): Promise<Peer> {
  const sent = new Seen<Message>();
  const report = new Report();
  let shared: ServerResponse | undefined;
  const server = await web(({ http, message, response }) => {
    if (http === 'GET') {
      shared = stream(response);
      shared.write('event: endpoint\ndata: /messages?session=1\n\n');
      return;
    }
    response.writeHead(options.refuses?.(message) ?? 202).end('Accepted');
    sent.add(message);
  });
  const wire = new SseWire(httpOptions(server.url, report, options));
  onTestFinished(() => wire.close());
  await wire.start();
  return {
    wire,
    report,
    sent,
    raw: (bytes) => void shared?.write(bytes),
    say: (message) => void shared?.write(`event: message\ndata: ${textOf(message)}\n\n`),
    hangUp: () => server.hangUp(),
  };
}

async function httpPeer(options: PeerOptions): Promise<Peer> {
  const sent = new Seen<Message>();
  const report = new Report();
  const streams = new Map<number | undefined, ServerResponse>();
  const server = await web(({ http, message, response }) => {
    if (http === 'GET') streams.set(undefined, stream(response));
    else if (http === 'DELETE' || message.method === undefined || message.id === undefined)
      response.writeHead(options.refuses?.(message) ?? 202).end();
    else streams.set(message.id, response);
    sent.add(message);
  });
  const wire = new HttpWire(httpOptions(server.url, report, options));
  onTestFinished(() => wire.close());
  wire.adopt({ era: 'legacy', version: '2025-06-18' });
  await server.visits.first(({ http }) => http === 'GET');
  const raw = (bytes: string | Uint8Array, of?: number): void => {
    const response = streams.get(of);
    if (response) stream(response).write(bytes);
  };
  return {
    wire,
    report,
    sent,
    raw,
    say: (message, of) => raw(`data: ${textOf(message)}\n\n`, of),
    hangUp: () => server.hangUp(),
  };
}

export const TRANSPORTS = ['stdio', 'sse', 'streamable-http'] as const;

/** A server whose messages the test writes, and a wire that is connected to it. */
export function peer(transport: (typeof TRANSPORTS)[number], options: PeerOptions = {}): Promise<Peer> {
  if (transport === 'stdio') return stdioPeer(options);
  return transport === 'sse' ? ssePeer(options) : httpPeer(options);
}

/** The exchange of a call, which keeps the notifications that it gets. */
export interface Caller extends Exchange {
  readonly notifications: Seen<JsonObject>;
  cancel(): void;
}

export function caller(): Caller {
  const cancellation = new Cancellation();
  const notifications = new Seen<JsonObject>();
  return {
    ...ownExchange(cancellation.signal),
    wantsProgress: true,
    progress: (params) => notifications.add(params),
    log: (params) => notifications.add(params),
    notifications,
    cancel: () => cancellation.abort(),
  };
}

/** Calls a tool; resolves with the id of the request, once the server has it. */
export async function call(
  { wire, sent }: Pick<Peer, 'wire' | 'sent'>,
  from: Caller,
  { name = 'tool', totalMs = 5_000, principal = 'somebody' } = {},
): Promise<{ id: number; reply: ReturnType<Wire['request']> }> {
  const reply = wire.request({ method: 'tools/call', params: { name }, exchange: from, principal, totalMs });
  reply.catch(() => undefined); // looked at where it matters
  const message = await sent.first((candidate) => candidate.params?.name === name && !claimed.has(candidate));
  claimed.add(message);
  const { id = 0 } = message;
  return { id, reply };
}

const claimed = new WeakSet<Message>();
