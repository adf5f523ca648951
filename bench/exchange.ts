// The requests that the load generator sends, and the check of every answer.
import { isObject, type JsonObject } from '../src/core/json.ts';
import { openAsked, openAskedSession } from './asked.ts';
import { Connection } from './connection.ts';
import { ACCEPT, type Caller, META, openLegacy, responseOf, unique, VERSION, CLIENT } from './messages.ts';
import { SseSession } from './sse-session.ts';

/**
 * `modern`: stateless tools/call; `session`: tools/call within a legacy session, `sse` over HTTP+SSE; `list`: modern tools/list; `asked` and
 * `asked-session`: a tools/call that is asked one question, by `input_required` and live.
 */
export type Kind = 'modern' | 'session' | 'sse' | 'list' | 'asked' | 'asked-session';

/** What is sent where. */
export interface Subject {
  readonly kind: Kind;
  readonly url: string;
  /** The tool to call; on `list` one that must be listed. */
  readonly tool: string;
  /** On `list`: how many tools there must be. */
  readonly tools?: number;
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
  const { connection, start, headers, close } = await openLegacy(new URL(subject.url), {});
  const name = JSON.stringify(subject.tool);
  return {
    call: async (id) => {
      const text = unique(id);
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${name},"arguments":{"text":"${text}"}}}`;
      checkText(responseOf(await connection.send(start, headers, body), id), text);
    },
    close,
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
  switch (subject.kind) {
    case 'session':
      return openSession(subject);
    case 'sse':
      return openSse(subject);
    case 'asked':
      return openAsked(subject);
    case 'asked-session':
      return openAskedSession(subject);
    default:
      return openModern(subject);
  }
}
