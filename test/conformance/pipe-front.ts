// Stands before a server that speaks over stdio, so that the suite, which speaks HTTP alone, can look at it without the gateway.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createMcpHandler,
  fromJsonSchema,
  isLegacyRequest,
  McpServer,
  type Transport,
} from '@modelcontextprotocol/server';
import { RETRY_MS } from '../../fixtures/servers/conformance/legacy.ts';
import { HEADER_TOOL } from '../../fixtures/servers/conformance/questions.ts';
import { streamable } from '../../fixtures/servers/legacy-streamable.ts';
import type { LegacyOptions } from '../../fixtures/servers/legacy-transports.ts';
import { guarded, serveWeb, type WebHandler } from '../../fixtures/servers/web.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { type Command, Piped, type Send } from './piped.ts';

type Message = Parameters<Transport['send']>[0];

const METHOD_NOT_FOUND = -32_601;
const MAX_SESSIONS = 8;

/** Passes on what arrives at a transport of HTTP, and gives back what comes for it. */
function join(front: Transport, piped: () => Piped): void {
  front.onmessage = (message) => {
    const id = 'id' in message ? message.id : undefined;
    const related = id === undefined ? {} : { relatedRequestId: id };
    piped().send(message as object as JsonObject, (answer) => void front.send(answer as object as Message, related));
  };
}

/** Starts a process; what belongs to no request goes to `other`. */
type Begin = (other: Send) => Piped;

/** A process for each session. */
function legacyBefore(begin: Begin): WebHandler {
  const build = () => {
    let piped: Piped | undefined;
    return {
      connect: async (front: Transport) => {
        const { onclose } = front;
        const other = (message: JsonObject): void => void front.send(message as object as Message);
        join(front, () => (piped ??= begin(other)));
        front.onclose = () => {
          onclose?.();
          void piped?.close();
        };
        await front.start();
      },
      close: () => piped?.close(),
    };
  };
  // All that is done with a server is to connect and to close it.
  return streamable({ build: build as object as LegacyOptions['build'], retryMs: RETRY_MS });
}

/** Stands in for the server of one request, for its schema alone: by it the SDK verifies the headers. */
class Standin extends McpServer {
  readonly #piped: Piped;
  constructor(piped: Piped) {
    super({ name: 'front', version: '1.0.0' });
    this.#piped = piped;
    this.registerTool(HEADER_TOOL.name, { inputSchema: fromJsonSchema(HEADER_TOOL.inputSchema) }, () => ({
      content: [],
    }));
  }
  override connect(front: Transport): Promise<void> {
    join(front, () => this.#piped);
    return front.start();
  }
}

/** An answer of the server with the status that belongs to it (Streamable HTTP of 2026-07-28). */
async function withStatus(answer: Response): Promise<Response> {
  if (answer.headers.get('content-type') !== 'application/json' || !answer.ok) return answer;
  const body = (await answer.json()) as JsonObject;
  const unknown = isObject(body.error) && body.error.code === METHOD_NOT_FOUND;
  return Response.json(body, { status: unknown ? 404 : 200 });
}

/** The stream of a listen, which begins with what the server says first; an error has no stream. */
async function listen(piped: Piped, message: JsonObject, gone: AbortSignal): Promise<Response> {
  const encoder = new TextEncoder();
  const stream = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1_000 });
  const writer = stream.writable.getWriter();
  const leave = (): void => piped.leave(message.id);
  gone.addEventListener('abort', leave);
  const first = await new Promise<JsonObject>((resolve) => {
    piped.send(message, (said) => {
      resolve(said);
      void writer.write(encoder.encode(`data: ${JSON.stringify(said)}\n\n`)).catch(leave);
    });
  });
  if ('error' in first) return Response.json(first, { status: 400 });
  return new Response(stream.readable, { headers: { 'content-type': 'text/event-stream' } });
}

/** One process for all requests. */
function modernBefore(piped: Piped): WebHandler {
  const handler = createMcpHandler(() => new Standin(piped), { legacy: 'reject' });
  return async (request) => {
    if (request.headers.get('mcp-method') === 'subscriptions/listen') {
      const message = (await request.clone().json()) as JsonObject;
      if (message.method === 'subscriptions/listen') return await listen(piped, message, request.signal);
    }
    return await withStatus(await handler.fetch(request));
  };
}

export interface Front extends AsyncDisposable {
  readonly url: string;
}

/** Listens on a free port of the loopback interface. */
export async function startPipeFront(command: Command): Promise<Front> {
  const one = new Piped(command, () => undefined);
  const sessions: Piped[] = [];
  const begin: Begin = (other) => {
    // the suite does not end its sessions, and is done with each before it begins a few others
    if (sessions.length >= MAX_SESSIONS) void sessions.shift()?.close();
    const piped = new Piped(command, other);
    sessions.push(piped);
    return piped;
  };
  const legacy = legacyBefore(begin);
  const modern = modernBefore(one);
  const serve: WebHandler = async (request) =>
    (await isLegacyRequest(request)) ? await legacy(request) : await modern(request);
  const server = createServer(serveWeb(guarded(serve)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await Promise.all([one, ...sessions].map((piped) => piped.close()));
    },
  };
}
