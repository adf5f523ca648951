// Puts the questions of a modern server to a legacy client as requests, and builds the retry with the answers (docs/bridge.md).
import { randomUUID } from 'node:crypto';
import { doublingMs } from '../../core/backoff.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { type CancelSignal, pause } from '../../core/cancellation.ts';
import { type ErrorCode, GatewayError, toGatewayError } from '../../core/errors.ts';
import type { Question, QuestionAnswer } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { requireAskable } from '../../protocol/mcp/capabilities.ts';

/** Failures of a question that the client may have seen. */
const MAY_BE_SEEN: ReadonlySet<ErrorCode> = new Set(['cancelled', 'question_unanswered']);

/** The outcome of a round: the params of the retry, or the error that the client answered with. */
export type AnsweredRound = { readonly params: JsonObject } | { readonly error: RpcError };

/** The rounds of questions of one call. */
export class LiveQuestions {
  private readonly call: McpCall;
  private readonly server: string;
  /** Ids of the URL elicitations that the client may show; `end` completes them. */
  private readonly elicitationIds: string[] = [];
  private rounds = 0;

  constructor(call: McpCall, server: string) {
    this.call = call;
    this.server = server;
  }

  /** Puts the questions of an `input_required` result. Throws GatewayError where the client cannot be asked, or was asked too often. */
  async answer(result: JsonObject, params: JsonObject): Promise<AnsweredRound> {
    if (++this.rounds > BOUNDS.liveRounds)
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" asked more than ${BOUNDS.liveRounds} times in one call.`,
      );
    const { requestState, inputRequests } = result;
    const asked = isObject(inputRequests) ? Object.entries(inputRequests) : [];
    if (asked.length > BOUNDS.roundQuestions || (asked.length === 0 && requestState === undefined))
      throw new GatewayError(
        'upstream_protocol',
        `The server "${this.server}" wants input, but asks ${asked.length} questions${asked.length === 0 ? ' and gives no state' : ''}.`,
      );
    if (asked.length === 0)
      await pause(doublingMs(this.rounds - 1, { firstMs: BOUNDS.emptyRoundPause }), this.call.exchange.signal);
    // where the client cannot be asked one question of the round, it is asked none
    for (const [, request] of asked) this.requireAskable(request);
    const answers = await Promise.all(asked.map(async ([key, request]) => [key, await this.put(request)] as const));
    const responses: [string, JsonObject][] = [];
    for (const [key, answer] of answers) {
      if ('error' in answer) return answer;
      responses.push([key, answer.result]);
    }
    const { inputResponses: _before, requestState: _state, ...rest } = params;
    return {
      params: {
        ...rest,
        ...(asked.length > 0 && { inputResponses: Object.fromEntries(responses) }),
        ...(requestState !== undefined && { requestState }),
      },
    };
  }

  /** Notifies the client, when the call has ended, that its URL elicitations are complete (2025-11-25 client/elicitation, URL mode). */
  end(): void {
    for (const elicitationId of this.elicitationIds)
      this.call.exchange.notify('notifications/elicitation/complete', { elicitationId });
  }

  /**
   * Puts one question. Throws GatewayError: `cancelled` where `signal` is aborted before the answer, or why the client cannot be asked.
   */
  async put(request: unknown, signal: CancelSignal = this.call.exchange.signal): Promise<QuestionAnswer> {
    const { method, params: asked } = this.read(request);
    const elicitationId = method === 'elicitation/create' && asked.mode === 'url' ? randomUUID() : undefined;
    const params = elicitationId === undefined ? asked : { ...asked, elicitationId };
    const answer = await this.ask({ method, params, signal }, elicitationId);
    if ('result' in answer) return answer;
    // `inputResponses` cannot carry an error: an elicitation that the client could not show counts as cancelled
    return method === 'elicitation/create' ? { result: { action: 'cancel' } } : answer;
  }

  private requireAskable(request: unknown): void {
    const { method, params } = this.read(request);
    requireAskable(method, params, this.call.exchange.capabilities);
  }

  private read(request: unknown): { method: string; params: JsonObject } {
    if (!isObject(request) || typeof request.method !== 'string')
      throw new GatewayError('upstream_protocol', `The server "${this.server}" asked something that is not a request.`);
    return { method: request.method, params: isObject(request.params) ? request.params : {} };
  }

  private async ask(question: Question, elicitationId: string | undefined): Promise<QuestionAnswer> {
    try {
      const answer = await this.call.exchange.ask(question);
      if (elicitationId !== undefined) this.elicitationIds.push(elicitationId);
      return answer;
    } catch (failure) {
      // the client may still show the page of a withdrawn question; after any other failure it never got the question
      if (elicitationId !== undefined && MAY_BE_SEEN.has(toGatewayError(failure).code))
        this.elicitationIds.push(elicitationId);
      throw failure;
    }
  }
}
