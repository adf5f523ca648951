// Messages of the legacy era, whichever transport brought them.
import type { Cancellation, CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { type Frame, type RequestFrame, resultText } from '../../protocol/mcp/frames.ts';
import { knownCapabilities } from '../../protocol/mcp/client-capabilities.ts';
import { isLogLevel, LOG_LEVELS, progressTokenOf, readPeer } from '../../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../../protocol/mcp/methods.ts';
import { negotiateLegacy } from '../../protocol/mcp/versions.ts';
import type { Caller, MessageFacts } from './caller.ts';
import { type Answer, encodeError, encodeReply } from './encode.ts';
import { CallerExchange, type Send } from './exchange.ts';
import type { Session, SessionOptions } from './session.ts';

export interface LegacyContext {
  readonly session: Session;
  readonly facts: MessageFacts;
  readonly send: Send;
}

/** What `initialize` agrees on. Throws `invalid_params` where it says too little, `not_found` where there is no such server. */
export function handleInitialize(
  gateway: Gateway,
  frame: RequestFrame,
  caller: Caller,
): { options: SessionOptions; answer: Answer } {
  const { protocolVersion, capabilities, clientInfo } = frame.params;
  if (typeof protocolVersion !== 'string')
    throw new GatewayError('invalid_params', '`params.protocolVersion` must be a string.');
  if (!isObject(capabilities)) throw new GatewayError('invalid_params', '`params.capabilities` must be an object.');
  const version = negotiateLegacy(protocolVersion);
  const declared = gateway.declare(caller.scope, version);
  if (!declared) throw new GatewayError('not_found', `There is no server named "${caller.scope ?? ''}" here.`);
  const result: JsonObject = {
    protocolVersion: version,
    capabilities: declared.capabilities,
    serverInfo: { ...gateway.identity },
  };
  if (declared.instructions !== undefined) result.instructions = declared.instructions;
  const client = readPeer(clientInfo);
  return {
    options: { gateway, caller, version, client, capabilities: knownCapabilities(capabilities) },
    answer: { text: resultText(frame.id, JSON.stringify(result)), status: 200 },
  };
}

/** Answers one request of a session; undefined where it was cancelled and nothing may be sent. */
export async function answerLegacy(
  gateway: Gateway,
  frame: RequestFrame,
  context: LegacyContext,
): Promise<Answer | undefined> {
  const { session } = context;
  let controller: Cancellation;
  try {
    controller = session.begin(frame);
  } catch (error) {
    return encodeError(frame.id, toGatewayError(error), 'legacy');
  }
  try {
    const answer = await dispatch(gateway, frame, { ...context, signal: controller.signal });
    return controller.signal.aborted ? undefined : answer;
  } catch (thrown) {
    return controller.signal.aborted ? undefined : encodeError(frame.id, toGatewayError(thrown), 'legacy');
  } finally {
    session.finish(frame.id);
  }
}

async function dispatch(
  gateway: Gateway,
  frame: RequestFrame,
  context: LegacyContext & { signal: CancelSignal },
): Promise<Answer> {
  const { id, method, params } = frame;
  const { session } = context;
  if (method === 'ping') return { text: resultText(id, '{}'), status: 200 };
  if (method === 'logging/setLevel' && declaresLogging(gateway, session)) {
    if (!isLogLevel(params.level))
      throw new GatewayError('invalid_params', `\`params.level\` must be one of ${LOG_LEVELS.join(', ')}.`);
    session.logLevel = params.level;
    gateway.wantLogLevel(params.level, session.facts);
    return { text: resultText(id, '{}'), status: 200 };
  }
  const known = CALL_METHODS.get(method);
  if (!known?.eras.includes('legacy') || (known.since !== undefined && session.version < known.since))
    throw new GatewayError('method_not_found', `There is no method ${JSON.stringify(method.slice(0, 64))}.`);
  if (method === 'resources/subscribe' && typeof params.uri === 'string') session.requireRoomToFollow(params.uri);
  const meta = isObject(params._meta) ? params._meta : undefined;
  const exchange = new CallerExchange({
    signal: context.signal,
    send: context.send,
    progressToken: progressTokenOf(meta),
    logLevel: session.logLevel,
    capabilities: session.capabilities,
    questions: session.questions,
  });
  let reply: Reply;
  try {
    reply = await gateway.call({
      method,
      params,
      ...session.caller,
      ...context.facts,
      ...(session.client && { client: session.client }),
      era: 'legacy',
      revision: session.version,
      session: session.link,
      exchange,
    });
  } finally {
    exchange.end();
  }
  if (method === 'resources/subscribe' || method === 'resources/unsubscribe') remember(gateway, frame, session);
  return encodeReply(reply, { id, era: 'legacy', server: gateway.identity, privateLists: true });
}

function declaresLogging(gateway: Gateway, { caller, version }: Session): boolean {
  return gateway.declare(caller.scope, version)?.capabilities.logging !== undefined;
}

function remember(gateway: Gateway, { method, params }: RequestFrame, session: Session): void {
  const uri = params.uri;
  if (typeof uri !== 'string') return;
  session.setFollowed(uri, method === 'resources/subscribe' ? gateway.serverOfUri(uri, session.facts) : undefined);
}

/** Takes what needs no answer from a session's client; what means nothing to us is taken all the same. */
export function takeMessage(frame: Exclude<Frame, RequestFrame>, session: Session): void {
  if (frame.kind === 'response') session.questions.answer(frame);
  else if (frame.method === 'notifications/cancelled') session.cancel(frame.params.requestId);
  else if (frame.method === 'notifications/roots/list_changed') session.rootsChanged();
}
