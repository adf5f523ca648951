// A legacy HTTP server whose tools, prompt and resource ask their caller, as the test scripts it.
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { answer, openEvents, refuse, type ScriptedServer, startScripted, tool, type Visit } from './scripted.ts';

/** One call at the server. */
export interface AskingCall {
  readonly visit: Visit;
  /** Asks on the stream of the call; resolves with what comes back, be it a result or an error. */
  ask(method: string, params?: JsonObject, options?: { readonly id?: string }): Promise<JsonObject>;
  /** Sends any message on the stream of the call. */
  send(message: JsonObject): void;
  /** Resolves when the gateway cancels the call. */
  readonly cancelled: Promise<void>;
}

/** What a name does: its result, or `{ error }`. */
export type AskingScripts = Readonly<Record<string, (call: AskingCall) => Promise<JsonObject>>>;

export const PROMPT = 'asking_prompt';
export const RESOURCE = 'asking://resource';

const OFFERED = { tools: {}, prompts: {}, resources: {} };

/** Asks on a stream that belongs to no call. */
export type StandingAsk = AskingCall['ask'];

/**
 * Starts the server; every script but the prompt's and the resource's is a tool. `onStanding` is told of every session that opens a
 * stream for what belongs to no call.
 */
export async function startAsking(
  scripts: AskingScripts,
  onStanding?: (ask: StandingAsk, visit: Visit) => void,
): Promise<ScriptedServer> {
  const answers = new Map<unknown, (answer: JsonObject) => void>();
  const cancels = new Map<unknown, () => void>();
  let asked = 0;
  const tools = Object.keys(scripts).filter((name) => name !== PROMPT && name !== RESOURCE);
  const lists: Readonly<Record<string, JsonObject>> = {
    'tools/list': { tools: tools.map((name) => tool(name)) },
    'prompts/list': { prompts: [{ name: PROMPT }] },
    'resources/list': { resources: [{ uri: RESOURCE, name: 'resource' }] },
    'resources/templates/list': { resourceTemplates: [] },
  };

  const askOn =
    (send: (message: JsonObject) => void): StandingAsk =>
    (method, params = {}, { id = `question ${++asked}` } = {}) => {
      const { promise, resolve } = Promise.withResolvers<JsonObject>();
      answers.set(id, resolve);
      send({ id, method, params });
      return promise;
    };

  const run = async (visit: Visit, script: AskingScripts[string]): Promise<void> => {
    const send = openEvents(visit);
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    cancels.set(visit.id, resolve);
    const result = await script({ visit, ask: askOn(send), send, cancelled });
    send({ id: visit.id, ...('error' in result ? result : { result }) });
    visit.response.end();
  };

  return startScripted((visit) => {
    const { http, rpc, id, params, response } = visit;
    if (rpc === 'server/discover') {
      refuse(visit, 400);
      return;
    }
    if (rpc === 'initialize') {
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: OFFERED,
        serverInfo: { name: 'asking', version: '1' },
      };
      answer(visit, result, { 'mcp-session-id': `session-${Math.random()}` });
      return undefined;
    }
    if (http === 'GET') {
      if (onStanding) onStanding(askOn(openEvents(visit)), visit);
      else response.writeHead(405).end();
      return undefined;
    }
    if (http === 'POST' && id !== undefined && rpc !== '') {
      if (lists[rpc]) return lists[rpc];
      const script = scripts[nameOf(params)];
      if (script) void run(visit, script);
      else refuse(visit, 400);
      return undefined;
    }
    if (rpc === 'notifications/cancelled') cancels.get(params.requestId)?.();
    if (rpc === '') answers.get(id)?.(visit.answer);
    response.writeHead(202).end();
    return undefined;
  });
}

export const FORM: JsonObject = {
  mode: 'form',
  message: 'What is your name?',
  requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
};

export const SAMPLING: JsonObject = {
  messages: [{ role: 'user', content: { type: 'text', text: 'Say something' } }],
  maxTokens: 10,
};

/** What was given, as the text of a tool. */
export const told = (value: unknown): JsonObject => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

/** What such a tool told, in a result that came back. */
export function toldIn({ content }: JsonObject): unknown {
  const [block] = Array.isArray(content) ? content : [];
  return JSON.parse(isObject(block) && typeof block.text === 'string' ? block.text : 'null');
}

function nameOf({ name, uri }: JsonObject): string {
  const named = name ?? uri;
  return typeof named === 'string' ? named : '';
}
