// What tests of parked calls share: callers, servers that ask questions, and fake timers.
import { setImmediate as turn } from 'node:timers/promises';
import { vi } from 'vitest';
import { boundsWith } from '../../../src/core/bounds/bounds.ts';
import type { McpCall, Target } from '../../../src/core/call.ts';
import { Cancellation } from '../../../src/core/cancellation.ts';
import type { Exchange, QuestionAnswer } from '../../../src/core/exchange.ts';
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import type { Reply } from '../../../src/core/reply.ts';
import { ParkedCalls } from '../../../src/gateway/bridge/parked-calls.ts';
import { RequestStates } from '../../../src/gateway/bridge/request-state.ts';
import type { Upstream } from '../../../src/upstream/mcp/upstream.ts';
import { Keyring } from '../../../src/storage/keyring.ts';
import { makeCall, makeContext } from '../../audit/bare-call.ts';
import { temporaryFolder } from '../../storage/temporary.ts';

export const TARGET: Target = { kind: 'tool', server: 'one', exposed: 'one__ask', original: 'ask' };
/** Where a call goes, in a context of its own. */
export const at = () => ({ target: TARGET, ctx: makeContext({ target: TARGET }) });
export const FORM = { mode: 'form', message: 'Who?', requestedSchema: { type: 'object' } };
export const CAPABILITIES = { elicitation: { form: {}, url: {} } };
export const YES = { action: 'accept', content: { name: 'Ada' } };

export interface Caller {
  readonly call: McpCall;
  readonly leaving: Cancellation;
  readonly progress: JsonObject[];
}

export function caller(params: JsonObject = {}, principal = 'alice', capabilities: JsonObject = CAPABILITIES): Caller {
  const leaving = new Cancellation();
  const progress: JsonObject[] = [];
  const exchange = { signal: leaving.signal, capabilities, progress: (said: JsonObject) => progress.push(said) };
  const call = makeCall({
    params: { name: 'one__ask', ...params },
    principal: { ...makeCall().principal, id: principal },
    exchange: exchange as unknown as Exchange,
  });
  return { call, leaving, progress };
}

/** Parked calls that hold no more than so many bytes. */
export function world(maxBytes = 256 * 1024) {
  const stopping = new Cancellation();
  const bounds = boundsWith({ parkedBytes: maxBytes });
  const upstreams = { get: () => ({ mayAsk: () => true }) as unknown as Upstream };
  const states = new RequestStates(new Keyring(temporaryFolder()));
  const parked = new ParkedCalls({ states, upstreams, stopping: stopping.signal }, bounds);
  const resume = ({ call }: Caller, to = at()) => {
    const state = states.open(call, TARGET)?.parked;
    if (!state) throw new Error('the state names no parked call');
    return parked.resume(call, to, state);
  };
  return { parked, stopping, resume };
}

/** A server that asks one form after the other; records the answers, and whether it was cancelled. */
export function asking(rounds = 1) {
  const answers: QuestionAnswer[] = [];
  let seen: Exchange | undefined;
  let cancelled = false;
  const run = async (exchange: Exchange): Promise<Reply> => {
    seen = exchange;
    exchange.signal.onAbort(() => (cancelled = true));
    for (let round = 0; round < rounds; round++)
      answers.push(await exchange.ask({ method: 'elicitation/create', params: FORM, signal: exchange.signal }));
    return { kind: 'result', result: { content: [], answered: answers.length } };
  };
  return { run, answers, exchange: () => seen, wasCancelled: () => cancelled };
}

/** Advances the time until a round is complete, and lets all promises settle. */
export async function settle(): Promise<void> {
  await turn();
  await vi.advanceTimersByTimeAsync(20);
  await turn();
}

export async function replied(reply: Promise<Reply>): Promise<JsonObject> {
  const [outcome] = await Promise.all([Promise.allSettled([reply]), settle()]);
  if (outcome[0].status === 'rejected') throw outcome[0].reason;
  const result = outcome[0].value;
  if (result.kind !== 'result') throw new Error('no result');
  return result.result;
}

export async function stateOf(reply: Promise<Reply>): Promise<string> {
  const { requestState } = await replied(reply);
  if (typeof requestState !== 'string') throw new Error('no state');
  return requestState;
}

export const keysOf = ({ inputRequests }: JsonObject): string[] =>
  isObject(inputRequests) ? Object.keys(inputRequests) : [];
