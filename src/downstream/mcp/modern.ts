// Requests of the modern era: each says by itself who sends it and what it can do.
import type { CancelSignal } from '../../core/cancellation.ts';
import { toGatewayError, GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { type RequestFrame, resultText } from '../../protocol/mcp/frames.ts';
import { META, progressTokenOf, readModernMeta } from '../../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../../protocol/mcp/methods.ts';
import { isLegacyVersion, MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import type { Caller, MessageFacts } from './caller.ts';
import { type Answer, discoverResult, encodeError, encodeReply, unsupportedVersion } from './encode.ts';
import { CallerExchange, type Send } from './exchange.ts';

export interface ModernContext {
  readonly caller: Caller;
  readonly facts: MessageFacts;
  readonly signal: CancelSignal;
  readonly send: Send;
}

/** Tells whether `_meta` or header name a version that is not a legacy one (wire.md, Which era is a request). */
export function isModern(params: JsonObject, headerVersion?: string): boolean {
  const meta = params._meta;
  const named = isObject(meta) ? meta[META.version] : undefined;
  return [named, headerVersion].some(
    (version) => version !== undefined && !(typeof version === 'string' && isLegacyVersion(version)),
  );
}

/** Answers one modern request; undefined where the caller cancelled it and nothing may be sent. */
export async function answerModern(
  gateway: Gateway,
  frame: RequestFrame,
  context: ModernContext,
): Promise<Answer | undefined> {
  try {
    const answered = await answer(gateway, frame, context);
    return context.signal.aborted ? undefined : answered;
  } catch (thrown) {
    if (context.signal.aborted) return undefined;
    return encodeError(frame.id, toGatewayError(thrown), 'modern');
  }
}

async function answer(
  gateway: Gateway,
  frame: RequestFrame,
  { caller, facts, signal, send }: ModernContext,
): Promise<Answer> {
  const { id, method, params } = frame;
  const meta = readModernMeta(params);
  if (meta.version !== MODERN_VERSION) throw unsupportedVersion(meta.version);
  const { snapshot, identity } = gateway;
  if (method === 'server/discover') {
    const declared = gateway.declare(caller.scope, MODERN_VERSION);
    if (!declared) throw new GatewayError('not_found', `There is no server named "${caller.scope ?? ''}" here.`);
    return {
      text: resultText(
        id,
        JSON.stringify(discoverResult(declared, identity, snapshot.privateLists ? 'private' : 'public')),
      ),
      status: 200,
    };
  }
  if (!CALL_METHODS.get(method)?.eras.includes('modern'))
    throw new GatewayError('method_not_found', `There is no method ${JSON.stringify(method)} in ${MODERN_VERSION}.`);
  const exchange = new CallerExchange({
    subscriptionId: id,
    signal,
    send,
    progressToken: progressTokenOf(params._meta as JsonObject),
    logLevel: meta.logLevel,
    capabilities: meta.capabilities,
  });
  const reply = await gateway.call({
    method,
    params,
    ...caller,
    ...facts,
    ...(meta.client && { client: meta.client }),
    era: 'modern',
    revision: MODERN_VERSION,
    exchange,
  });
  const encoding = encodeReply(reply, { id, era: 'modern', server: identity, privateLists: snapshot.privateLists });
  const encoded = encoding instanceof Promise ? await encoding : encoding;
  return method === 'subscriptions/listen' ? { ...encoded, text: withSubscription(encoded.text, frame) } : encoded;
}

/** The graceful end of a listener carries its subscription id like every message before it (patterns/subscriptions). */
function withSubscription(text: string, frame: RequestFrame): string {
  const message = JSON.parse(text) as { result?: { _meta?: JsonObject } };
  if (message.result) message.result._meta = { ...message.result._meta, [META.subscriptionId]: frame.id };
  return JSON.stringify(message);
}
