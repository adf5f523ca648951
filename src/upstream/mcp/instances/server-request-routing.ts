// Whom a question of an instance goes to: the caller, the owner, or whoever follows the task that asks; never anybody else.
import type { CancelSignal } from '../../../core/cancellation.ts';
import type { ServerConfig } from '../../../config/config.ts';
import { GatewayError } from '../../../core/errors.ts';
import { askWithin, type Exchange, QUESTION_MS, type QuestionAnswer } from '../../../core/exchange.ts';
import { isObject, type JsonObject } from '../../../core/json.ts';
import type { Owner } from './affinity.ts';
import type { AskedQuestion } from '../wire/wire.ts';

/** How many are asked the same for a task, one after the other. */
const MAX_ASKED = 20;

/** What is told of questions, and asked for them. */
export interface ServerRequestHandlers {
  /** Whoever can be asked on behalf of a task that this instance works on. */
  askerOfTask(instance: string, task: string, signal: CancelSignal): Promise<Exchange | undefined>;
  /** It put a question to a caller. */
  asked(method: string): void;
  /** It sends a caller to a page. */
  sentToPage(asked: AskedQuestion, owner: Owner | undefined): void;
}

export interface ServerRequestOptions {
  /** `NAME#N`: which start of the server this is. */
  readonly id: string;
  readonly server: ServerConfig;
  /** Whose it is; absent where everybody shares it. */
  readonly owner: Owner | undefined;
  readonly on: ServerRequestHandlers;
}

/** The roots that the modern client of an instance last gave it, or none. */
export interface KnownRoots {
  result: JsonObject;
}

/** Passes a question on to whoever it belongs to, and never to anybody else. Throws GatewayError, which the server gets. */
export async function ask(
  options: ServerRequestOptions,
  asked: AskedQuestion,
  known: KnownRoots,
): Promise<QuestionAnswer> {
  const { owner, server, on } = options;
  const { method, params, signal } = asked;
  if (asked.ofTask !== undefined && !asked.exchange) return askForTask(options, asked, asked.ofTask);
  // whose the roots are is plain on an instance with an owner, however many calls it runs
  const isOwnersRoots = method === 'roots/list' && owner !== undefined;
  // what a task asks says whose it is, so that the instance can be shared all the same
  if (!isOwnersRoots && asked.ofTask === undefined) on.asked(method);
  const exchange = asked.exchange ?? outsideOf(owner, asked);
  if (exchange) {
    if (params.mode === 'url') on.sentToPage(asked, owner);
    const answer = await exchange.ask({ method, params, signal });
    if (isOwnersRoots && 'result' in answer) known.result = answer.result;
    return answer;
  }
  // a modern client can be asked in a call only (wire.md, Questions 8)
  if (isOwnersRoots && isObject(owner.capabilities.roots)) return { result: known.result };
  if (asked.inFlight > 1) throw unattributable(server, asked);
  throw new GatewayError('question_undeclared', `No caller of "${server.name}" is there to answer ${method}.`);
}

/** A task goes on when whoever was asked for it leaves: then the next is asked (2025-11-25 basic/utilities/tasks, Input Required Status). */
function askForTask(options: ServerRequestOptions, asked: AskedQuestion, task: string): Promise<QuestionAnswer> {
  const { id, server, on } = options;
  return askWithin(QUESTION_MS, asked, async ({ method, params, signal }) => {
    for (let tries = 0; tries < MAX_ASKED; tries++) {
      const exchange = await on.askerOfTask(id, task, signal);
      if (!exchange) break;
      try {
        return await exchange.ask({ method, params, signal });
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'cancelled' || signal.aborted) throw error;
      }
    }
    throw new GatewayError(
      'question_undeclared',
      `Nobody follows this task of "${server.name}" who could answer ${method}.`,
    );
  });
}

function unattributable({ name, isolation }: ServerConfig, { inFlight }: AskedQuestion): GatewayError {
  const next =
    isolation === 'shared'
      ? `It is shared because the configuration says so (isolation of "${name}").`
      : 'From now on calls run one at a time.';
  return new GatewayError(
    'question_unattributable',
    `${inFlight} calls are running here, and the question does not say which of them it belongs to. ${next}`,
  );
}

/** Who answers a question that belongs to no call: the session whose instance it is. Roots are the session's in any case (wire.md, Questions 8). */
function outsideOf(owner: Owner | undefined, { method, inFlight }: AskedQuestion): Exchange | undefined {
  return method === 'roots/list' || inFlight === 0 ? owner?.session?.standing : undefined;
}
