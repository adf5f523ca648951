// Calls that are asked one question before they are answered: modern clients call again, legacy ones answer live.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { isObject, type JsonObject } from '../src/core/json.ts';
import { Connection } from './connection.ts';
import type { Subject } from './exchange.ts';
import { ACCEPT, type Caller, META, openLegacy, responseOf, unique, VERSION } from './messages.ts';

/** What modern calls that are asked take of the gateway: the call, and the call again. */
export const REQUESTS_PER_ASKED = 2;

const CAPABILITIES = { elicitation: { form: {} } };
const ASKED = { ...META, 'io.modelcontextprotocol/clientCapabilities': CAPABILITIES };

const accepted = (text: string): JsonObject => ({ action: 'accept', content: { color: text } });

/** The tool gives the answer back, as JSON. */
function checkAnswer(result: JsonObject, text: string): void {
  const block = Array.isArray(result.content) ? result.content[0] : undefined;
  if (isObject(block) && typeof block.text === 'string' && block.text.includes(text)) return;
  throw new Error(`A foreign answer: expected ${text}, got ${JSON.stringify(result).slice(0, 500)}`);
}

/** Opens a connection of a modern client that answers by calling again. */
export async function openAsked({ url: given, tool }: Subject): Promise<Caller> {
  const url = new URL(given);
  const connection = await Connection.open(url);
  const headers = `${ACCEPT}MCP-Protocol-Version: ${VERSION}\r\nMcp-Method: tools/call\r\nMcp-Name: ${tool}\r\n`;
  const send = async (id: number, params: JsonObject): Promise<JsonObject> => {
    const message = { jsonrpc: '2.0', id, method: 'tools/call', params: { name: tool, ...params, _meta: ASKED } };
    return responseOf(await connection.send(`POST ${url.pathname}`, headers, JSON.stringify(message)), id);
  };
  return {
    call: async (id) => {
      const args = { label: unique(id) };
      const { inputRequests, requestState } = await send(id, { arguments: args });
      const [key] = isObject(inputRequests) ? Object.keys(inputRequests) : [];
      if (key === undefined || typeof requestState !== 'string') throw new Error(`Nothing was asked of call ${id}`);
      const text = unique(id);
      const inputResponses = { [key]: accepted(text) };
      checkAnswer(await send(id, { arguments: args, requestState, inputResponses }), text);
    },
    close: async () => connection.close(),
  };
}

/** Opens a legacy session whose client answers on its own connection while the call runs. */
export async function openAskedSession({ url: given, tool }: Subject): Promise<Caller> {
  const url = new URL(given);
  const { connection, start, headers, close } = await openLegacy(url, CAPABILITIES);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const lines = Object.fromEntries(
    headers
      .trim()
      .split('\r\n')
      .map((line) => line.split(': ') as [string, string]),
  );
  const answer = async (id: unknown, text: string): Promise<void> => {
    const message = JSON.stringify({ jsonrpc: '2.0', id, result: accepted(text) });
    const { status } = await connection.send(start, headers, message);
    if (status !== 202) throw new Error(`An answer was answered with HTTP ${status}`);
  };
  return {
    call: async (id) => {
      const text = unique(id);
      const params = { name: tool, arguments: { label: text } };
      const request = httpRequest(url, { method: 'POST', agent, headers: lines });
      request.end(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }));
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      let result: unknown;
      for await (const message of messagesOf(response)) {
        if (message.method === 'elicitation/create') await answer(message.id, text);
        else if (message.id === id) ({ result } = message);
      }
      checkAnswer(isObject(result) ? result : {}, text);
    },
    close: async () => {
      agent.destroy();
      await close();
    },
  };
}

/** The messages of an event stream, each on one line. */
async function* messagesOf(stream: IncomingMessage): AsyncGenerator<JsonObject> {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines)
      if (line.startsWith('data: {')) yield JSON.parse(line.slice('data: '.length)) as JsonObject;
  }
}
