// Handles requests of the modern era, each of which carries its client's identity and capabilities.
import type { CancelSignal } from '../../core/cancellation.ts';
import { type ModernMeta, readModernMeta, type RequestFrame, resultText } from '../../protocol/mcp/frames.ts';
import { CALL_METHODS, isLegacyVersion, META, MODERN_VERSION, progressTokenOf } from '../../protocol/mcp/vocabulary.ts';
import type { Peer } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { FinalReply } from '../../core/reply.ts';
import type { Caller, CallRequest, Gateway, MessageFacts } from '../../gateway/gateway.ts';
import type { Sink } from '../../gateway/pipeline.ts';
import { CallerExchange, type Send } from './exchange.ts';
import { type Answer, answerSink, discoverResult, refusedAnswer, unsupportedVersion } from './encode.ts';

export interface ModernContext {
  readonly caller: Caller;
  readonly facts: MessageFacts;
  readonly signal: CancelSignal;
  readonly send: Send;
}

/** Whether `_meta` or the header name a version that is not a legacy one (wire.md, Which era is a request). */
export function isModern(params: JsonObject, headerVersion?: string): boolean {
  const meta = params._meta;
  const named = isObject(meta) ? meta[META.version] : undefined;
  return [named, headerVersion].some(
    (version) => version !== undefined && !(typeof version === 'string' && isLegacyVersion(version)),
  );
}

/** Answers one modern request; undefined if the caller cancelled it and gets no answer. */
export async function answerModern(
  gateway: Gateway,
  frame: RequestFrame,
  context: ModernContext,
): Promise<Answer | undefined> {
  const { caller, signal } = context;
  let response: Answer;
  try {
    response = await answer(gateway, frame, context);
  } catch (thrown) {
    response = refusedAnswer(gateway, { id: frame.id, era: 'modern', caller }, thrown);
  }
  return signal.aborted ? undefined : response;
}

/** Throws GatewayError if the request does not become a call. */
function answer(gateway: Gateway, frame: RequestFrame, context: ModernContext): Answer | Promise<Answer> {
  const { method, params } = frame;
  const meta = readModernMeta(params);
  if (meta.version !== MODERN_VERSION) throw unsupportedVersion(meta.version);
  if (method === 'server/discover') return discover(gateway, frame, context.caller);
  if (!CALL_METHODS.get(method)?.eras.includes('modern'))
    throw new GatewayError('method_not_found', `There is no method ${JSON.stringify(method)} in ${MODERN_VERSION}.`);
  return gateway.call(requestOf(frame, meta, context), sinkFor(frame, gateway.identity));
}

function requestOf(
  { id, method, params }: RequestFrame,
  meta: ModernMeta,
  { caller, facts, signal, send }: ModernContext,
): CallRequest {
  return {
    method,
    params,
    caller,
    facts,
    client: meta.client,
    era: 'modern',
    revision: MODERN_VERSION,
    exchange: new CallerExchange({
      subscriptionId: id,
      signal,
      send,
      progressToken: progressTokenOf(params._meta as JsonObject),
      logLevel: meta.logLevel,
      capabilities: meta.capabilities,
    }),
  };
}

function discover(gateway: Gateway, { id }: RequestFrame, { endpoint }: Caller): Answer {
  const declared = gateway.declare(endpoint, MODERN_VERSION);
  const scope = gateway.snapshot.privateLists ? 'private' : 'public';
  return { text: resultText(id, JSON.stringify(discoverResult(declared, gateway.identity, scope))), status: 200 };
}

/** The result that ends a listener carries its subscription id, like every message before it (patterns/subscriptions). */
function sinkFor({ id, method }: RequestFrame, server: Peer): Sink<Answer> {
  const sink = answerSink({ id, era: 'modern', server });
  if (method !== 'subscriptions/listen') return sink;
  const end = (reply: FinalReply) => {
    if (reply.kind !== 'result') return sink.end(reply);
    const result = { ...reply.result, _meta: { [META.subscriptionId]: id } };
    return sink.end({ ...reply, result });
  };
  return { ...sink, end };
}
