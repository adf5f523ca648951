// The requests that the load generator sends, and the check of every answer.
import { isObject, type JsonObject } from '../src/core/json.ts';
import { Connection, type HttpAnswer } from './connection.ts';
import { SseSession } from './sse-session.ts';

/** `modern`: stateless tools/call; `session`: tools/call within a legacy session, `sse` over HTTP+SSE; `list`: modern tools/list. */
export type Kind = 'modern' | 'session' | 'sse' | 'list';

/** What is sent where. */
export interface Subject {
  readonly kind: Kind;
  readonly url: string;
  /** The tool to call; on `list` one that must be listed. */
  readonly tool: string;
  /** On `list`: how many tools there must be. */
  readonly tools?: number;
}

/** One connection that can make one checked call after the other. */
export interface Caller {
  /** Makes call number N; throws if the answer is not exactly the one expected. */
  readonly call: (number: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const VERSION = '2026-07-28';
const LEGACY = '2025-11-25';
const CLIENT = { name: 'bench', version: '1.0.0' };
const META = {
  'io.modelcontextprotocol/protocolVersion': VERSION,
  'io.modelcontextprotocol/clientInfo': CLIENT,
  'io.modelcontextprotocol/clientCapabilities': {},
};
const ACCEPT = 'Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n';

/** The JSON-RPC response with this id, from a JSON body or from the events of a stream. */
function responseOf(answer: HttpAnswer, id: number): JsonObject {
  const candidates = answer.body.startsWith('{')
    ? [answer.body]
    : Array.from(answer.body.matchAll(/^data: ?(\{.*)$/gm), (match) => match[1] ?? '');
  for (const candidate of candidates) {
    const message: unknown = JSON.parse(candidate);
    if (isObject(message) && message.id === id && isObject(message.result)) return message.result;
  }
  throw new Error(`No result for id ${id} in the answer: HTTP ${answer.status} ${answer.body.slice(0, 500)}`);
}

function checkText(result: JsonObject, text: string): void {
  const block = Array.isArray(result.content) ? result.content[0] : undefined;
  if (isObject(block) && block.text === text) return;
  throw new Error(`A foreign answer: expected ${text}, got ${JSON.stringify(result).slice(0, 500)}`);
}

function checkTools(result: JsonObject, { tool, tools }: Subject): void {
  const names = Array.isArray(result.tools)
    ? result.tools.map((entry) => (isObject(entry) ? entry.name : undefined))
    : [];
  if (names.length === tools && names.includes(tool)) return;
  throw new Error(`Expected ${String(tools)} tools with ${tool} among them, got ${names.length}`);
}

const unique = (number: number): string => `${process.pid}-${number}-${Math.random().toString(36).slice(2)}`;

async function openModern(subject: Subject): Promise<Caller> {
  const url = new URL(subject.url);
  const connection = await Connection.open(url);
  const start = `POST ${url.pathname}`;
  const name = JSON.stringify(subject.tool);
  const meta = JSON.stringify(META);
  const common = `${ACCEPT}MCP-Protocol-Version: ${VERSION}\r\n`;
  const call = async (id: number): Promise<void> => {
    const text = unique(id);
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${name},"arguments":{"text":"${text}"},"_meta":${meta}}}`;
    const answer = await connection.send(
      start,
      `${common}Mcp-Method: tools/call\r\nMcp-Name: ${subject.tool}\r\n`,
      body,
    );
    checkText(responseOf(answer, id), text);
  };
  const list = async (id: number): Promise<void> => {
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":{"_meta":${meta}}}`;
    const answer = await connection.send(start, `${common}Mcp-Method: tools/list\r\n`, body);
    checkTools(responseOf(answer, id), subject);
  };
  return { call: subject.kind === 'list' ? list : call, close: async () => connection.close() };
}

async function openSession(subject: Subject): Promise<Caller> {
  const url = new URL(subject.url);
  const connection = await Connection.open(url);
  const start = `POST ${url.pathname}`;
  const hello = { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT };
  const initialize = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: hello });
  const opened = await connection.send(start, ACCEPT, initialize);
  responseOf(opened, 0);
  const session = /\r\nmcp-session-id: *(\S+)/i.exec(opened.head)?.[1];
  if (session === undefined) throw new Error('The endpoint gave no session');
  const headers = `${ACCEPT}MCP-Protocol-Version: ${LEGACY}\r\nMcp-Session-Id: ${session}\r\n`;
  await connection.send(start, headers, '{"jsonrpc":"2.0","method":"notifications/initialized"}');
  const name = JSON.stringify(subject.tool);
  return {
    call: async (id) => {
      const text = unique(id);
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${name},"arguments":{"text":"${text}"}}}`;
      checkText(responseOf(await connection.send(start, headers, body), id), text);
    },
    close: async () => {
      await connection.send(`DELETE ${url.pathname}`, headers, '');
      connection.close();
    },
  };
}

async function openSse(subject: Subject): Promise<Caller> {
  const session = await SseSession.open(new URL(subject.url));
  const hello = { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: CLIENT };
  await session.request(0, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: hello }));
  await session.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  const name = JSON.stringify(subject.tool);
  return {
    call: async (id) => {
      const text = unique(id);
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${name},"arguments":{"text":"${text}"}}}`;
      const { result } = await session.request(id, body);
      checkText(isObject(result) ? result : {}, text);
    },
    close: async () => session.close(),
  };
}

/** Opens one connection for the subject; for sessions with one of its own. */
export function openCaller(subject: Subject): Promise<Caller> {
  if (subject.kind === 'session') return openSession(subject);
  return subject.kind === 'sse' ? openSse(subject) : openModern(subject);
}
