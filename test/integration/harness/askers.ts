// Two principals behind one gateway whose servers ask: a legacy one under two names, and a modern one that keeps its state with the client.
import type { JsonObject } from '../../../src/core/json.ts';
import { FORM, PROMPT, RESOURCE, startAsking } from './asking.ts';
import { ASKING_TOOLS } from './asking-tools.ts';
import { type RunningGateway, openGateway } from './gateway.ts';
import { ALICE, BOB, AUTH } from './principals.ts';
import { errorOf, messageOf, modern, resultOf, send } from './raw.ts';
import { modern as modernScript, said, type ScriptedServer, startScripted, tool } from './scripted.ts';

export const ADA: JsonObject = { action: 'accept', content: { name: 'Ada' } };

const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };

/** One request of a modern client: what it wants, and who it is. */
export interface Wish {
  readonly method?: string;
  readonly params: JsonObject;
  readonly token?: string;
}

/** What came of a wish. */
export interface Given {
  readonly status: number;
  /** The answer without its id, as it was written. */
  readonly text: string;
  readonly result: JsonObject;
  readonly error: JsonObject;
}

/** What each server that asks has been sent. */
export interface Askers {
  readonly gateway: RunningGateway;
  readonly legacy: ScriptedServer;
  readonly modern: ScriptedServer;
  send(wish: Wish): Promise<Given>;
  /** Makes a call that is asked something; resolves with the state that goes with the question. */
  asked(wish: Wish): Promise<string>;
  /** How many calls and answers the servers were sent. */
  reached(): number;
  stop(): Promise<void>;
}

/** The calls of the tests: at the legacy server, at the same one under another name, at the modern one, and those that are no tools. */
export const WISHES = {
  form: { params: { name: 't__form', arguments: { a: 1 } } },
  elsewhere: { params: { name: 's__form', arguments: { a: 1 } } },
  otherTool: { params: { name: 't__other_form', arguments: { a: 1 } } },
  otherArguments: { params: { name: 't__form', arguments: { a: 2 } } },
  rounds: { params: { name: 't__rounds', arguments: {} } },
  stateless: { params: { name: 'm__form', arguments: { a: 1 } } },
  prompt: { method: 'prompts/get', params: { name: `t__${PROMPT}` } },
  resource: { method: 'resources/read', params: { uri: RESOURCE } },
} satisfies Record<string, Wish>;

/** The state that the modern server gives; it refuses no other, so that the gateway alone decides. */
const OWN_STATE = 'the state of the server';

/** Starts servers and gateway. */
export async function startAskers(): Promise<Askers> {
  const legacy = await startAsking(ASKING_TOOLS);
  const question = { who: { method: 'elicitation/create', params: FORM } };
  const modernServer = await startScripted(
    modernScript(
      () => [tool('form')],
      ({ rpc, params }) => {
        if (rpc !== 'tools/call') return undefined;
        return params.requestState === undefined
          ? { resultType: 'input_required', inputRequests: question, requestState: OWN_STATE }
          : said(JSON.stringify(params.inputResponses));
      },
    ),
  );
  const mcpServers = { t: { url: legacy.url }, s: { url: legacy.url }, m: { url: modernServer.url } };
  const gateway = await openGateway({
    config: { auth: AUTH, mcpServers },
    args: ['--log-level', 'warn'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();
  const ask = (wish: Wish) => sendWish(gateway.origin, wish);
  return {
    gateway,
    legacy,
    modern: modernServer,
    send: ask,
    asked: async (wish) => {
      const { result, text } = await ask(wish);
      if (typeof result.requestState !== 'string') throw new Error(`nothing was asked: ${text}`);
      return result.requestState;
    },
    reached: () =>
      [legacy, modernServer].reduce(
        (sum, { seen }) => sum + seen.filter(({ http, rpc }) => http === 'POST' && REACHING.has(rpc)).length,
        0,
      ),
    stop: async () => {
      await gateway.stop();
      await Promise.all([legacy.stop(), modernServer.stop()]);
    },
  };
}

/** Calls, and what has no method: answers. */
const REACHING: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read', '']);

async function sendWish(origin: string, { method = 'tools/call', params, token = ALICE }: Wish): Promise<Given> {
  const answer = await send(
    origin,
    modern(method, params, {
      headers: { Authorization: `Bearer ${token}` },
      meta: { 'io.modelcontextprotocol/clientCapabilities': CAPABILITIES },
    }),
  );
  const { id: _id, ...message } = messageOf(answer);
  return { status: answer.status, text: JSON.stringify(message), result: resultOf(answer), error: errorOf(answer) };
}

/** The same wish as the retry that brings answers. */
export function retry({ params, ...wish }: Wish, requestState: string, answer: JsonObject = ADA): Wish {
  return { ...wish, params: { ...params, requestState, inputResponses: { q1: answer, who: answer } } };
}

/** Does all, at most so many at a time. */
export async function inParallel<T, R>(all: readonly T[], most: number, work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = all.entries();
  const worker = async () => {
    for (const [index, each] of entries) results[index] = await work(each);
  };
  await Promise.all(Array.from({ length: most }, worker));
  return results;
}
