// A modern client's call at a legacy server: gathers the server's live questions into rounds (design, The era bridge).
import { Cancellation } from '../../core/cancellation.ts';
import type { McpCall } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import type { Exchange, Question, QuestionAnswer } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { RequestsInFlight } from '../../core/requests-in-flight.ts';
import { estimateHeap } from '../../core/heap-estimate.ts';
import {
  type Askable,
  INPUT_KEY,
  isAnswer,
  missingCapability,
  paramsFor,
  whyNotAsked,
} from '../../protocol/mcp/questions.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { SerializedReply } from './serialized-reply.ts';

/** Questions within this time form one round (wire.md, Questions 4). */
const GATHER_MS = 20;

/** Most questions of one round. */
const MAX_QUESTIONS = 100;

interface Attached {
  readonly exchange: Exchange;
  stopHearing: (() => void) | undefined;
}

interface OpenQuestion {
  readonly method: string;
  /** As the server asked. */
  readonly asked: JsonObject;
  /** As the caller is asked. */
  readonly params: JsonObject;
  /** What it takes in memory, in bytes. */
  readonly weight: number;
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
  /** Whether the server is asked for progress though this caller does not want it: one who retries may (wire.md, Questions 5). */
  readonly wantsProgress?: boolean;
  /** Whether there is room for what the call holds with one more question. */
  readonly admits?: () => boolean;
}

/** The exchange that the server sees; whoever retries the call takes the place of the caller before. */
export class ParkedCall implements Exchange {
  /** Those of the latest caller. */
  capabilities: JsonObject;
  readonly wantsProgress: boolean;
  readonly logLevel: string | undefined;
  /** Since when its questions are with a caller who has not come back, in monotonic ms. */
  unattendedSince: number | undefined;
  hasEnded = false;
  /** Capabilities that the caller would have needed to be asked what the server wanted to ask. */
  lacking: JsonObject | undefined;
  private readonly cancellation = new Cancellation();
  private readonly open = new RequestsInFlight<string, OpenQuestion, QuestionAnswer>({
    most: MAX_QUESTIONS,
    full: () => new GatewayError('overloaded', `${MAX_QUESTIONS} questions of this call are open.`),
  });
  /** Answers that came before their questions; each is given once. */
  private readonly early: Map<string, unknown>;
  /** Who waits for the call now, the latest last. */
  private callers: Attached[] = [];
  private turn = Promise.withResolvers<Turn>();
  private gathering: NodeJS.Timeout | undefined;
  private named = 0;
  private readonly asked: (() => void) | undefined;
  private readonly admits: () => boolean;
  private readonly usedKeys: Set<string> | undefined;
  private result: Outcome | SerializedReply | undefined;
  private displaced: GatewayError | undefined;

  constructor({ exchange, params }: Pick<McpCall, 'exchange' | 'params'>, options: ParkedCallOptions = {}) {
    this.asked = options.asked;
    this.admits = options.admits ?? (() => true);
    if (options.uniqueKeys === true) this.usedKeys = new Set();
    this.capabilities = exchange.capabilities;
    this.wantsProgress = exchange.wantsProgress || options.wantsProgress === true;
    this.logLevel = exchange.logLevel;
    this.early = new Map(Object.entries(isObject(params.inputResponses) ? params.inputResponses : {}));
  }

  get signal(): Cancellation {
    return this.cancellation;
  }

  /** How the call ended; undefined while it runs, and once that was let go of. */
  get outcome(): Outcome | undefined {
    return this.result instanceof SerializedReply ? { reply: this.result.open() } : this.result;
  }

  /** What its open questions and its outcome, if that is kept, take in memory, in bytes. */
  get bytes(): number {
    let bytes = this.result instanceof SerializedReply ? this.result.bytes : 0;
    for (const [, { request }] of this.open) bytes += request.weight;
    return bytes;
  }

  /** No caller waits for the outcome: a reply is serialized and kept until one retries. A failure is small and stays as it is. */
  keepOutcome(): void {
    if (this.result && 'reply' in this.result) this.result = new SerializedReply(this.result.reply);
  }

  /** A caller has taken the outcome. */
  letGoOfOutcome(): void {
    this.result = undefined;
  }

  /** Runs the call; its end is told as a turn, however it comes. */
  run(running: Promise<Reply>): void {
    running.then(
      (reply) => this.end({ reply }),
      (failure: unknown) => this.end({ failure }),
    );
  }

  /** Whether anybody waits for the call now. */
  get attended(): boolean {
    return this.callers.length > 0;
  }

  /** Adds a caller, who hears of the call from now on; the call is cancelled when the last one leaves. */
  attach(exchange: Exchange): void {
    this.capabilities = exchange.capabilities;
    this.unattendedSince = undefined;
    const attached: Attached = { exchange, stopHearing: undefined };
    this.callers.push(attached);
    attached.stopHearing = exchange.signal.onAbort(() => {
      this.callers = this.callers.filter((other) => other !== attached);
      if (!this.attended) this.cancellation.abort();
    });
  }

  /** The callers have been answered: that they leave now means nothing (wire.md, Questions 5). */
  detach(): void {
    for (const { stopHearing } of this.callers) stopHearing?.();
    this.callers = [];
    this.unattendedSince = performance.now();
  }

  /** Somebody comes back with answers; what is open and cannot be asked of this caller is refused to the server (wire.md, Questions 5 and 6). */
  resume(exchange: Exchange, responses: JsonObject): void {
    this.attach(exchange);
    this.answer(responses);
    for (const [, question] of this.open) {
      const refusal = this.refusalOf(question.request.method, question.request.asked);
      if (refusal) question.fail(refusal);
    }
  }

  preempt(why: string): void {
    this.displaced = new GatewayError('overloaded', why);
    this.cancellation.abort();
  }

  /** Waits for the end of the call, or for questions. */
  async next(): Promise<Turn> {
    if (this.hasEnded) return 'ended';
    if (this.open.size > 0) this.gather();
    return this.turn.promise;
  }

  /** The questions that are open now, as `inputRequests`. */
  inputRequests(): JsonObject {
    this.turn = Promise.withResolvers();
    const asked = ({ method, params }: OpenQuestion): JsonObject => ({ method, params });
    return Object.fromEntries([...this.open].map(([key, { request }]) => [key, asked(request)]));
  }

  /** Gives the server what the caller answered; what is missing or malformed stays open and is asked again (wire.md, Questions 3). */
  answer(responses: JsonObject): void {
    for (const [key, question] of this.open) {
      const response = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (isObject(response) && isAnswer(question.request.method, response)) question.answer({ result: response });
    }
  }

  cancel(): void {
    this.cancellation.abort();
  }

  progress(params: JsonObject): void {
    this.callers.at(-1)?.exchange.progress(params);
  }

  log(params: JsonObject): void {
    this.callers.at(-1)?.exchange.log(params);
  }

  notify(method: string, params: JsonObject): void {
    this.callers.at(-1)?.exchange.notify(method, params);
  }

  async ask({ method, params, signal }: Question): Promise<QuestionAnswer> {
    const refusal = this.refusalOf(method, params);
    if (refusal) throw refusal;
    const key = this.keyOf(params);
    const early = this.early.get(key);
    this.early.delete(key);
    if (isObject(early) && isAnswer(method, early)) return { result: early };
    if (signal.aborted) throw withdrawn();
    const question = this.open.begin(key, {
      method,
      asked: params,
      params: paramsFor(method, params, this.askable),
      weight: estimateHeap(params),
    });
    const stopListening = signal.onAbort(() => question.fail(withdrawn()));
    if (this.admits()) this.gather();
    else
      question.fail(
        new GatewayError('overloaded', 'There is no room for a question of this size with those that are open.'),
      );
    return question.answered.finally(stopListening);
  }

  private get askable(): Askable {
    return { capabilities: this.capabilities, version: MODERN_VERSION };
  }

  /** Why the caller cannot be asked this; remembers what it would have had to declare. */
  private refusalOf(method: string, params: JsonObject): GatewayError | undefined {
    const why = whyNotAsked(method, params, this.askable);
    if (why === undefined) return undefined;
    this.lacking = joined(this.lacking, missingCapability(method, params));
    return new GatewayError('question_undeclared', `The client cannot be asked this: ${why}.`);
  }

  /** The key that the server gave the question, or the next of the gateway's own. */
  private keyOf({ _meta }: JsonObject): string {
    const wanted = isObject(_meta) ? _meta[INPUT_KEY] : undefined;
    const taken = (key: string) => this.open.get(key) !== undefined || this.usedKeys?.has(key) === true;
    let key =
      typeof wanted === 'string' && wanted !== '' && wanted.length <= 128 && !taken(wanted) ? wanted : undefined;
    while (key === undefined || taken(key)) key = `q${++this.named}`;
    this.usedKeys?.add(key);
    return key;
  }

  private gather(): void {
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      if (this.open.size === 0) return;
      this.turn.resolve('asked');
      this.asked?.();
    }, GATHER_MS);
  }

  private end(outcome: Outcome): void {
    this.hasEnded = true;
    this.result = this.displaced ? { failure: this.displaced } : outcome;
    clearTimeout(this.gathering);
    this.detach();
    this.cancellation.release(); // who listens has request and answer
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
