// A modern client's call at a legacy server: gathers the questions that the server asks meanwhile into rounds (docs/bridge.md).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { RequestsInFlight } from '../../core/in-flight.ts';
import {
  type Askable,
  INPUT_KEY,
  isAnswer,
  missingCapability,
  paramsFor,
  whyNotAsked,
} from '../../protocol/mcp/capabilities.ts';
import { MODERN_VERSION } from '../../protocol/mcp/vocabulary.ts';
import type { McpCall } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange, Question, QuestionAnswer } from '../../core/exchange.ts';
import { estimateHeap, isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { SerializedReply } from './serialized-reply.ts';

/** A caller that waits for the call. */
interface Waiter {
  readonly exchange: Exchange;
  stopListening: (() => void) | undefined;
}

interface OpenQuestion {
  readonly method: string;
  /** The params as the server sent them. */
  readonly asked: JsonObject;
  /** The params as the caller gets them. */
  readonly params: JsonObject;
  /** Its size in memory, in bytes. */
  readonly weight: number;
  /** Whether the caller has it and may retry with the answer, also after the end of the call. */
  isSent: boolean;
}

/** What the caller gets next: the end of the call, or a round of questions. */
type Turn = 'ended' | 'asked';

/** How a call ended: with a reply or a failure. */
export type Outcome = { readonly reply: Reply } | { readonly failure: unknown };

export interface ParkedCallOptions {
  /** Called when a round of questions is complete. */
  readonly asked?: () => void;
  /** Whether no two questions ever have the same key (tasks extension, Task Update Requests). */
  readonly uniqueKeys?: boolean;
  /** Whether to ask the server for progress even if this caller does not want it, because a retry may (wire.md, Questions 5). */
  readonly wantsProgress?: boolean | undefined;
  /** Whether there is memory for the questions that are open now; asked after each new one. */
  readonly admits?: () => boolean;
}

/** It is the exchange that the server gets; each retry replaces the caller behind it. */
export class ParkedCall implements Exchange {
  /** The capabilities of the latest caller. */
  capabilities: JsonObject;
  readonly wantsProgress: boolean;
  readonly logLevel: string | undefined;
  /** Since when no caller waits for it, because its questions were sent and no retry has come yet; in monotonic ms. */
  unattendedSince: number | undefined;
  hasEnded = false;
  /** The capabilities that the caller did not declare and that questions of the server needed. */
  lacking: JsonObject | undefined;
  readonly signal = new Cancellation();
  private readonly open = new RequestsInFlight<string, OpenQuestion, QuestionAnswer>({
    most: BOUNDS.callQuestions,
    full: () => new GatewayError('overloaded', `${BOUNDS.callQuestions} questions of this call are open.`),
  });
  /** Answers in the first request to questions that the server has not asked yet, by key; each is used once. */
  private readonly early: Map<string, unknown>;
  /** The callers that wait for the call now, the latest last. */
  private waiters: Waiter[] = [];
  private turn = Promise.withResolvers<Turn>();
  private gathering: NodeJS.Timeout | undefined;
  private lastKey = 0;
  private readonly asked: (() => void) | undefined;
  private readonly admits: () => boolean;
  private readonly usedKeys: Set<string> | undefined;
  private result: Outcome | SerializedReply | undefined;
  private preempted: GatewayError | undefined;

  constructor({ exchange, params }: Pick<McpCall, 'exchange' | 'params'>, options: ParkedCallOptions = {}) {
    this.asked = options.asked;
    this.admits = options.admits ?? (() => true);
    if (options.uniqueKeys === true) this.usedKeys = new Set();
    this.capabilities = exchange.capabilities;
    this.wantsProgress = exchange.wantsProgress || options.wantsProgress === true;
    this.logLevel = exchange.logLevel;
    this.early = new Map(Object.entries(isObject(params.inputResponses) ? params.inputResponses : {}));
  }

  /** How the call ended; undefined while it runs, and after `releaseOutcome`. */
  get outcome(): Outcome | undefined {
    return this.result instanceof SerializedReply ? { reply: this.result.open() } : this.result;
  }

  /** The size of its open questions and its kept outcome in memory, in bytes. */
  get bytes(): number {
    let bytes = this.result instanceof SerializedReply ? this.result.bytes : 0;
    for (const [, { request }] of this.open) bytes += request.weight;
    return bytes;
  }

  /** Serializes the reply, to keep it until a caller retries. A failure is small and stays as it is. */
  keepOutcome(): void {
    if (this.result && 'reply' in this.result) this.result = new SerializedReply(this.result.reply);
  }

  /** Called when a caller got the outcome. */
  releaseOutcome(): void {
    this.result = undefined;
  }

  /** Waits for the end of the call; `next` then resolves with `ended`. */
  run(running: Promise<Reply>): void {
    running.then(
      (reply) => this.end({ reply }),
      (failure: unknown) => this.end({ failure }),
    );
  }

  /** Whether a caller waits for the call now. */
  get attended(): boolean {
    return this.waiters.length > 0;
  }

  /** Adds a caller, which gets progress, log lines and questions from now on. When the last one cancels, the call is cancelled at its server. */
  attach(exchange: Exchange): void {
    this.capabilities = exchange.capabilities;
    this.unattendedSince = undefined;
    const waiter: Waiter = { exchange, stopListening: undefined };
    this.waiters.push(waiter);
    waiter.stopListening = exchange.signal.onAbort(() => {
      this.waiters = this.waiters.filter((other) => other !== waiter);
      if (!this.attended) this.signal.abort();
    });
  }

  /** Removes the callers, which got their answers: if they disconnect now, that cancels nothing (wire.md, Questions 5). */
  detach(): void {
    for (const { stopListening } of this.waiters) stopListening?.();
    this.waiters = [];
    this.unattendedSince = performance.now();
  }

  /** Continues with a retry and its answers. Open questions that this caller cannot be asked fail at the server (wire.md, Questions 5 and 6). */
  resume(exchange: Exchange, responses: JsonObject): void {
    this.attach(exchange);
    this.answer(responses);
    for (const [, question] of this.open) {
      question.request.isSent = false;
      const refusal = this.refusalOf(question.request.method, question.request.asked);
      if (refusal) question.fail(refusal);
    }
    if (this.hasEnded) this.withdraw();
  }

  /** Cancels the call, if it runs, and withdraws its questions: no caller can retry any more. */
  forget(): void {
    this.signal.abort();
    for (const [, { request }] of this.open) request.isSent = false;
    this.withdraw();
  }

  /** Cancels the call, so that a queued call can use its instance; a later retry fails with `why`. */
  preempt(why: string): void {
    this.preempted = new GatewayError('overloaded', why);
    this.signal.abort();
  }

  /** Resolves with what the caller gets next: the end of the call, or questions. */
  async next(): Promise<Turn> {
    if (this.hasEnded) return 'ended';
    if (this.open.size > 0) this.gather();
    return this.turn.promise;
  }

  /** The open questions, as `inputRequests`. Begins the next turn. */
  inputRequests(): JsonObject {
    this.turn = Promise.withResolvers();
    return Object.fromEntries(
      [...this.open].map(([key, { request }]) => {
        request.isSent = true;
        return [key, { method: request.method, params: request.params }];
      }),
    );
  }

  /** Sends the caller's answers to the server. A question whose answer is missing or malformed stays open for the next round (wire.md, Questions 3). */
  answer(responses: JsonObject): void {
    for (const [key, question] of this.open) {
      const response = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (isObject(response) && isAnswer(question.request.method, response)) question.answer({ result: response });
    }
  }

  progress(params: JsonObject): void {
    this.waiters.at(-1)?.exchange.progress(params);
  }

  log(params: JsonObject): void {
    this.waiters.at(-1)?.exchange.log(params);
  }

  notify(method: string, params: JsonObject): void {
    this.waiters.at(-1)?.exchange.notify(method, params);
  }

  async ask({ method, params, signal, ofSeveral }: Question): Promise<QuestionAnswer> {
    const refusal = this.refusalOf(method, params);
    if (refusal) throw refusal;
    const key = this.keyOf(params);
    // an answer that came with this call is not for the question of another
    const early = ofSeveral ? undefined : this.takeEarly(key);
    if (isObject(early) && isAnswer(method, early)) return { result: early };
    if (signal.aborted || this.hasEnded) throw withdrawn();
    const question = this.open.begin(key, {
      method,
      asked: params,
      params: paramsFor(method, params, this.askable),
      weight: estimateHeap(params),
      isSent: false,
    });
    const stopListening = signal.onAbort(() => question.fail(withdrawn()));
    if (this.admits()) this.gather();
    else
      question.fail(
        new GatewayError('overloaded', 'There is no room for a question of this size with those that are open.'),
      );
    return question.answered.finally(stopListening);
  }

  private takeEarly(key: string): unknown {
    const early = this.early.get(key);
    this.early.delete(key);
    return early;
  }

  /** Withdraws the questions that no caller has: each may be put on another call that it may belong to. */
  private withdraw(): void {
    for (const [, question] of this.open) if (!question.request.isSent) question.fail(withdrawn());
  }

  private get askable(): Askable {
    return { capabilities: this.capabilities, version: MODERN_VERSION };
  }

  /** Why the caller cannot be asked a question, if so; then `lacking` gets the capability that the question needs. */
  private refusalOf(method: string, params: JsonObject): GatewayError | undefined {
    const why = whyNotAsked(method, params, this.capabilities);
    if (why === undefined) return undefined;
    this.lacking = joined(this.lacking, missingCapability(method, params));
    return new GatewayError('question_undeclared', `The client cannot be asked this: ${why}.`);
  }

  /** The key that the server gave the question, or the next of the gateway's own. */
  private keyOf({ _meta }: JsonObject): string {
    const wanted = isObject(_meta) ? _meta[INPUT_KEY] : undefined;
    const isUsed = (key: string) => this.open.get(key) !== undefined || this.usedKeys?.has(key) === true;
    let key = typeof wanted === 'string' && wanted.length <= BOUNDS.inputKey ? wanted : '';
    while (key === '' || isUsed(key)) key = `q${++this.lastKey}`;
    this.usedKeys?.add(key);
    return key;
  }

  /** Ends the turn with a round of questions, once the server has had time to ask more. */
  private gather(): void {
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      if (this.open.size === 0) return;
      this.turn.resolve('asked');
      this.asked?.();
    }, BOUNDS.roundGathering);
  }

  private end(outcome: Outcome): void {
    this.hasEnded = true;
    this.result = this.preempted ? { failure: this.preempted } : outcome;
    clearTimeout(this.gathering);
    this.withdraw();
    this.detach();
    this.signal.release(); // its listeners hold the request and the answer
    this.turn.resolve('ended');
  }
}

/** Both sets of capabilities in one. */
export function joined(some: JsonObject = {}, more: JsonObject): JsonObject {
  const entries = Object.entries(more).map(([name, flags]) => {
    const known = some[name];
    return [name, { ...(isObject(known) ? known : {}), ...(isObject(flags) ? flags : {}) }] as const;
  });
  return { ...some, ...Object.fromEntries(entries) };
}

function withdrawn(): GatewayError {
  return new GatewayError('cancelled', 'The question was withdrawn.');
}
