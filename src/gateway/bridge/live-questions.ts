// Puts a modern server's questions live to a legacy client, and builds the retry with the answers (design, The era bridge).
import { randomUUID } from 'node:crypto';
import { doublingMs } from '../../core/backoff.ts';
import type { McpCall } from '../../core/call.ts';
import { type CancelSignal, pause } from '../../core/cancellation.ts';
import { type ErrorCode, GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Question, QuestionAnswer } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { requireAskable } from '../../protocol/mcp/questions.ts';

/** Most rounds of one call (wire.md, Questions 5). */
const MAX_ROUNDS = 10;

/** Most questions of one round. */
const MAX_QUESTIONS = 100;

/** The pause before a round without questions. */
const PAUSES = { firstMs: 100 };

/** Failures after which the client may have seen the question. */
const ASKED_IN_VAIN: ReadonlySet<ErrorCode> = new Set(['cancelled', 'question_unanswered']);

/** What the client said to a round: the params of the next request, or the error that it answered with. */
export type Answered = { readonly params: JsonObject } | { readonly error: RpcError };

/** Puts rounds of questions to the client of one call. */
export class LiveQuestions {
  private readonly call: McpCall;
  private readonly server: string;
  /** Elicitations by URL that the client was asked, which end with the call. */
  private readonly told: string[] = [];
  private rounds = 0;

  constructor(call: McpCall, server: string) {
    this.call = call;
    this.server = server;
  }

  /** Asks what `result` asks. Throws GatewayError where the client cannot be asked, or was asked too often. */
  async answer(result: JsonObject, params: JsonObject): Promise<Answered> {
    if (++this.rounds > MAX_ROUNDS)
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" asked more than ${MAX_ROUNDS} times in one call.`,
      );
    const { requestState, inputRequests } = result;
    const asked = isObject(inputRequests) ? Object.entries(inputRequests) : [];
    if (asked.length > MAX_QUESTIONS || (asked.length === 0 && requestState === undefined))
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" wants input, but asks ${asked.length} questions${asked.length === 0 ? ' and gives no state' : ''}.`,
      );
    if (asked.length === 0) await pause(doublingMs(this.rounds - 1, PAUSES), this.call.exchange.signal);
    // the client is asked nothing of a round that it cannot answer as a whole
    for (const [, request] of asked) this.requireAskable(request);
    const given: [string, JsonObject][] = [];
    const answers = await Promise.all(asked.map(([, request]) => this.put(request)));
    for (const [index, answer] of answers.entries()) {
      if ('error' in answer) return answer;
      given.push([asked[index]?.[0] ?? '', answer.result]);
    }
    const inputResponses = Object.fromEntries(given);
    const { inputResponses: _before, requestState: _state, ...rest } = params;
    return {
      params: {
        ...rest,
        ...(asked.length > 0 && { inputResponses }),
        ...(requestState !== undefined && { requestState }),
      },
    };
  }

  /** The call has ended, and with it what the client was sent to do elsewhere (2025-11-25 client/elicitation, URL mode). */
  end(): void {
    for (const elicitationId of this.told)
      this.call.exchange.notify('notifications/elicitation/complete', { elicitationId });
  }

  /**
   * Puts one question. Throws GatewayError: `cancelled` where `signal` was aborted before there was an answer, and whatever keeps the
   * client from being asked.
   */
  async put(request: unknown, signal: CancelSignal = this.call.exchange.signal): Promise<QuestionAnswer> {
    const { method, params: given } = this.read(request);
    const page = method === 'elicitation/create' && given.mode === 'url' ? randomUUID() : undefined;
    const params = page === undefined ? given : { ...given, elicitationId: page };
    const answer = await this.ask({ method, params, signal }, page);
    if ('result' in answer) return answer;
    // an answer cannot carry an error: a form that the client could not show counts as cancelled
    return method === 'elicitation/create' ? { result: { action: 'cancel' } } : answer;
  }

  private requireAskable(request: unknown): void {
    const { exchange, revision } = this.call;
    const { method, params } = this.read(request);
    requireAskable(method, params, { capabilities: exchange.capabilities, version: revision });
  }

  private read(request: unknown): { method: string; params: JsonObject } {
    if (!isObject(request) || typeof request.method !== 'string')
      throw new GatewayError('upstream_protocol', `The server "${this.server}" asked something that is not a request.`);
    return { method: request.method, params: isObject(request.params) ? request.params : {} };
  }

  private async ask(question: Question, page: string | undefined): Promise<QuestionAnswer> {
    try {
      const answer = await this.call.exchange.ask(question);
      if (page !== undefined) this.told.push(page);
      return answer;
    } catch (failure) {
      // a client that was sent to a page may be there still, though the question is not; any other failure kept it from hearing of it
      if (page !== undefined && ASKED_IN_VAIN.has(toGatewayError(failure).code)) this.told.push(page);
      throw failure;
    }
  }
}
