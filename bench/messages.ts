// What every caller of the load generator says, and the sessions that legacy ones open.
import { isObject, type JsonObject } from '../src/core/json.ts';
import { Connection, type HttpAnswer } from './connection.ts';

/** One connection that can make one checked call after the other. */
export interface Caller {
  /** Makes call number N; throws if the answer is not exactly the one expected. */
  readonly call: (number: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export const VERSION = '2026-07-28';
export const LEGACY = '2025-11-25';
export const CLIENT = { name: 'bench', version: '1.0.0' };
export const META = {
  'io.modelcontextprotocol/protocolVersion': VERSION,
  'io.modelcontextprotocol/clientInfo': CLIENT,
  'io.modelcontextprotocol/clientCapabilities': {},
};
/** Headers of every POST. */
export const ACCEPT = 'Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n';

/** The JSON-RPC response with this id, from a JSON body or from the events of a stream. */
export function responseOf(answer: HttpAnswer, id: number): JsonObject {
  const candidates = answer.body.startsWith('{')
    ? [answer.body]
    : Array.from(answer.body.matchAll(/^data: ?(\{.*)$/gm), (match) => match[1] ?? '');
  for (const candidate of candidates) {
    const message: unknown = JSON.parse(candidate);
    if (isObject(message) && message.id === id && isObject(message.result)) return message.result;
  }
  throw new Error(`No result for id ${id} in the answer: HTTP ${answer.status} ${answer.body.slice(0, 500)}`);
}

/** A text that no other call has. */
export const unique = (number: number): string => `${process.pid}-${number}-${Math.random().toString(36).slice(2)}`;

/** A legacy session and how its requests begin. */
export interface LegacySession {
  readonly connection: Connection;
  readonly start: string;
  readonly headers: string;
  readonly close: () => Promise<void>;
}

/** Opens a session of a client with these capabilities; `close` ends it. */
export async function openLegacy(url: URL, capabilities: JsonObject): Promise<LegacySession> {
  const connection = await Connection.open(url);
  const start = `POST ${url.pathname}`;
  const hello = { protocolVersion: LEGACY, capabilities, clientInfo: CLIENT };
  const initialize = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: hello });
  const opened = await connection.send(start, ACCEPT, initialize);
  responseOf(opened, 0);
  const session = /\r\nmcp-session-id: *(\S+)/i.exec(opened.head)?.[1];
  if (session === undefined) throw new Error('The endpoint gave no session');
  const headers = `${ACCEPT}MCP-Protocol-Version: ${LEGACY}\r\nMcp-Session-Id: ${session}\r\n`;
  await connection.send(start, headers, '{"jsonrpc":"2.0","method":"notifications/initialized"}');
  return {
    connection,
    start,
    headers,
    close: async () => {
      await connection.send(`DELETE ${url.pathname}`, headers, '');
      connection.close();
    },
  };
}
