// The exchange: how a running call reaches its caller with progress, log lines, notifications and questions.
import { BOUNDS } from './bounds/bounds.ts';
import type { Target } from './call.ts';
import { Cancellation, type CancelSignal, withDeadline } from './cancellation.ts';
import { GatewayError } from './errors.ts';
import type { JsonObject } from './json.ts';
import type { RpcError } from './reply.ts';

/** A request of a server to a caller: elicitation, sampling, roots. */
export interface Question {
  readonly method: string;
  /** As the server sent them, without the protocol's keys in `_meta`, which are hop by hop. */
  readonly params: JsonObject;
  /** The task that it belongs to, by the id that the caller has. */
  readonly task?: string;
  /** Whether it may belong to another call of the caller: then it outlives the call on whose stream the caller got it. */
  readonly ofSeveral?: true;
  /** Aborted when the server withdraws the question, or when nothing waits for the answer any more. */
  readonly signal: CancelSignal;
}

/** The answer of the caller. An error is an answer too: the server gets it unchanged. */
export type QuestionAnswer = { readonly result: JsonObject } | { readonly error: RpcError };

/** A downstream adapter provides one with each call. Nothing may be sent on it after the call has ended. */
export interface Exchange {
  /** Aborted when the caller cancels, or where a lost connection is a cancellation in its era. */
  readonly signal: CancelSignal;
  /** Whether the caller asked for progress of this call. */
  readonly wantsProgress: boolean;
  /** The caller's own progress token; absent where it wants no progress. */
  readonly progressToken?: string | number | undefined;
  /** The least severe log level that the caller wants; absent where it wants no log lines. */
  readonly logLevel?: string | undefined;
  /** The capabilities that the caller declared (`initialize`, or `_meta` of the request). */
  readonly capabilities: JsonObject;
  /** Sends `notifications/progress`; the adapter inserts the caller's progress token. */
  progress(params: JsonObject): void;
  /** Sends the caller a sign that the call still runs, if nothing was sent for long; absent where that cannot reach the caller. */
  heartbeat?(): void;
  /** Sends `notifications/message` if the caller's log level lets it pass. */
  log(params: JsonObject): void;
  /** Sends any other notification that belongs to this call (`subscriptions/listen`). */
  notify(method: string, params: JsonObject): void;
  /**
   * Sends a question to the caller, on the stream of this call. Throws GatewayError: `question_undeclared` where the caller did not declare
   * that it answers this, `cancelled` where the call ended or the question was withdrawn before an answer, `question_unanswered` where no
   * answer came in time.
   */
  ask(question: Question): Promise<QuestionAnswer>;
  /** Since when the call is parked: its questions are with a caller that may retry, and no request waits for it. Monotonic ms; else undefined. */
  readonly unattendedSince?: number | undefined;
  /** Preempts a parked call, so that a queued call can use its instance; a later retry gets the reason. Absent where a call is never parked. */
  preempt?(why: string): void;
}

/** A legacy session of a client, to which a server's instance can belong. */
export interface ClientSession {
  /** Names the session in records and tables; not a secret. */
  readonly key: string;
  /** The exchange with the client outside any call; its signal is aborted when the session ends. */
  readonly standing: Exchange;
  /** Whether the client would receive a message outside any call now. */
  readonly reachable: boolean;
  /** Throws `overloaded` where the session is subscribed to as many other resources as it may be. */
  requireRoomFor(uri: string): void;
  /** Stores the resource to which the session is subscribed under a URI; undefined: it is no longer subscribed. */
  setSubscription(uri: string, target: Target | undefined): void;
  /** Calls the listener when the client says that its roots changed. Returns a function that removes the listener. */
  onRootsChanged(listener: () => void): () => void;
}

/**
 * Asks, and withdraws the question after so many milliseconds without an answer (wire.md, Questions 5). Throws `question_unanswered` then,
 * else what `ask` throws.
 */
export async function askWithin<Asked extends Pick<Question, 'method' | 'signal'>>(
  ms: number,
  question: Asked,
  ask: (question: Asked) => Promise<QuestionAnswer>,
): Promise<QuestionAnswer> {
  const withdrawn = new Cancellation();
  const stopListening = question.signal.onAbort(() => withdrawn.abort());
  try {
    return await withDeadline(ask({ ...question, signal: withdrawn.signal }), ms, () => withdrawn.abort());
  } catch (failure) {
    if (!withdrawn.aborted || question.signal.aborted) throw failure;
    const message = `Nobody answered ${question.method.slice(0, BOUNDS.errorKey)} within ${ms / 1_000} s; the question is withdrawn.`;
    throw new GatewayError('question_unanswered', message, { cause: failure });
  } finally {
    stopListening();
  }
}

/** Refuses every question: for an exchange without a client. */
export function cannotAsk({ method }: Pick<Question, 'method'>): Promise<never> {
  return Promise.reject(
    new GatewayError('question_undeclared', `Nobody here can answer ${method.slice(0, BOUNDS.errorKey)}.`),
  );
}

/** The exchange of a request that the gateway itself makes. */
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

/** An exchange that delegates to another, except for the members in `differing`. */
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
  // there is no client to send it to
}
