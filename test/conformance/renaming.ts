// Stands before the aggregate endpoint and takes its prefix off the names, because the suite knows what it looks for by name.
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as send,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { isObject, type JsonValue } from '../../src/core/json.ts';

export interface Renaming extends AsyncDisposable {
  readonly url: string;
}

/** Whether `name` is one of a tool or prompt there. */
const naming = (method: unknown): boolean => method === 'tools/call' || method === 'prompts/get';

function rename(body: Buffer, prefix: string): Buffer {
  if (body.length === 0) return body;
  const message = JSON.parse(body.toString()) as JsonValue;
  if (!isObject(message) || !isObject(message.params)) return body;
  const { params } = message;
  const named = naming(message.method) ? params : isObject(params.ref) ? params.ref : {};
  if (typeof named.name === 'string') named.name = prefix + named.name;
  return Buffer.from(JSON.stringify(message));
}

/** Sends on whole lines, so that no name is cut in two. */
async function copy(answer: IncomingMessage, response: ServerResponse, prefix: string): Promise<void> {
  const { 'content-length': _, ...headers } = answer.headers;
  response.writeHead(answer.statusCode ?? 502, headers).flushHeaders();
  let rest = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    const text = rest + String(chunk);
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    response.write(text.slice(0, end).replaceAll(`"${prefix}`, '"'));
  }
  response.end(rest.replaceAll(`"${prefix}`, '"'));
}

async function relay(request: IncomingMessage, response: ServerResponse, { target, prefix }: Options): Promise<void> {
  const body = rename(await buffer(request), prefix);
  const headers: OutgoingHttpHeaders = { ...request.headers, 'content-length': body.length };
  const name = request.headers['mcp-name'];
  if (name !== undefined && naming(request.headers['mcp-method'])) headers['mcp-name'] = prefix + String(name).trim();
  const outgoing = send(target, { method: request.method, headers }).end(body);
  response.once('close', () => outgoing.destroy());
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  await copy(answer, response, prefix);
}

interface Options {
  /** The URL of the aggregate endpoint. */
  readonly target: string;
  /** What the names begin with there. */
  readonly prefix: string;
}

/** Listens on a free port of the loopback interface. */
export async function startRenaming(options: Options): Promise<Renaming> {
  const server = createServer((request, response) => {
    relay(request, response, options).catch((error: unknown) => {
      // The suite leaves its streams when it has seen enough.
      if (!response.destroyed) process.stderr.write(`renaming failed: ${String(error)}\n`);
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
