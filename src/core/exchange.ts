// The way back to the caller while a call runs.
import { Cancellation, type CancelSignal } from './cancellation.ts';
import { GatewayError } from './errors.ts';
import type { JsonObject } from './json.ts';
import type { RpcError } from './reply.ts';
import { withDeadline } from './wait.ts';

/** What a server asks of a caller: elicitation, sampling, roots. */
export interface Question {
  readonly method: string;
  /** As the server sent them, without protocol keys of its hop. */
  readonly params: JsonObject;
  /** The task that it belongs to, as the caller knows it. */
  readonly task?: string;
  /** Aborted when the server withdraws the question, or when nobody waits for the answer any more. */
  readonly signal: CancelSignal;
}

/** What the caller said. An error is an answer too: it goes to the server as it is. */
export type QuestionAnswer = { readonly result: JsonObject } | { readonly error: RpcError };

/** What a downstream adapter provides with each call. Nothing may be sent after the call has ended. */
export interface Exchange {
  /** Aborted when the caller cancels, or when its era reads a lost connection as a cancellation. */
  readonly signal: CancelSignal;
  /** Whether the caller asked for progress of this call. */
  readonly wantsProgress: boolean;
  /** By which the caller knows the progress of this call, where it wants any; its own, and hop by hop. */
  readonly progressToken?: string | number | undefined;
  /** The least severe log line that the caller wants; absent where it wants none. */
  readonly logLevel?: string | undefined;
  /** The capabilities that the caller declared (`initialize`, or `_meta` of the request). */
  readonly capabilities: JsonObject;
  /** Sends `notifications/progress`; the adapter puts in the caller's own token. */
  progress(params: JsonObject): void;
  /** Tells the caller that the call still runs, where it has heard nothing of it for long; absent where nobody would be told. */
  heartbeat?(): void;
  /** Sends `notifications/message` if the caller's log level lets it pass. */
  log(params: JsonObject): void;
  /** Sends any other notification that belongs to this call (`subscriptions/listen`). */
  notify(method: string, params: JsonObject): void;
  /**
   * Puts a question to the caller, on the stream of this call. Throws GatewayError: `question_undeclared` where the caller cannot be
   * asked this, `cancelled` when the call ended or the question was withdrawn before there was an answer,
   * `question_unanswered` when there was none in time.
   */
  ask(question: Question): Promise<QuestionAnswer>;
  /** Since when nobody waits for the call, because its questions are with a caller who may come back, in monotonic ms; else undefined. */
  readonly unattendedSince?: number | undefined;
  /** Preempts the call, so that a queued call can use its instance; a later retry is told why. Absent where somebody always waits. */
  preempt?(why: string): void;
}

/** A legacy session, as something that a server's instance can belong to. */
export interface ClientSession {
  /** Names the session in records and ledgers; not a secret. */
  readonly key: string;
  /** The way to the client outside any call; its signal is aborted when the session ends. */
  readonly standing: Exchange;
  /** Whether a message outside any call would be read now. */
  readonly reachable: boolean;
  /** Throws `overloaded` where the session is subscribed to as many other resources as it may. */
  requireRoomFor(uri: string): void;
  /** Remembers at which server the session is subscribed to a resource; undefined: nowhere any more. */
  setSubscription(uri: string, server: string | undefined): void;
  /** Calls the listener when the client says that its roots changed. Returns the way to stop listening. */
  onRootsChanged(listener: () => void): () => void;
}

/** How long a question may be with whoever is asked, in ms (wire.md, Questions 5). */
export const QUESTION_MS = 10 * 60_000;

/**
 * Asks, and withdraws the question where there is no answer after so many milliseconds. Throws `question_unanswered` then, and whatever
 * `ask` throws.
 */
export async function askWithin<Asked extends Pick<Question, 'method' | 'signal'>>(
  ms: number,
  question: Asked,
  ask: (question: Asked) => Promise<QuestionAnswer>,
): Promise<QuestionAnswer> {
  const withdrawn = new Cancellation();
  const stay = question.signal.onAbort(() => withdrawn.abort());
  try {
    return await withDeadline(ask({ ...question, signal: withdrawn.signal }), ms, () => withdrawn.abort());
  } catch (failure) {
    if (!withdrawn.aborted || question.signal.aborted) throw failure;
    const message = `Nobody answered ${question.method.slice(0, 64)} within ${ms / 1_000} s; the question is withdrawn.`;
    throw new GatewayError('question_unanswered', message, { cause: failure });
  } finally {
    stay();
  }
}

/** Refuses every question: for whoever has nobody to ask. */
export function cannotAsk({ method }: Pick<Question, 'method'>): Promise<never> {
  return Promise.reject(new GatewayError('question_undeclared', `Nobody here can answer ${method.slice(0, 64)}.`));
}

/** The exchange of a request that the gateway makes for itself. */
export function ownExchange(signal: CancelSignal): Exchange {
  return {
    signal,
    wantsProgress: false,
    capabilities: {},
    progress: silent,
    log: silent,
    notify: silent,
    ask: cannotAsk,
  };
}

/** An exchange that passes everything on, but for what differs. */
export function relayed(exchange: Exchange, differing: Partial<Exchange>): Exchange {
  return {
    signal: exchange.signal,
    wantsProgress: exchange.wantsProgress,
    logLevel: exchange.logLevel,
    capabilities: exchange.capabilities,
    progress: (params) => exchange.progress(params),
    log: (params) => exchange.log(params),
    notify: (method, params) => exchange.notify(method, params),
    ask: (question) => exchange.ask(question),
    ...differing,
  };
}

function silent(): void {
  // nobody listens
}
