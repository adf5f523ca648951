// Handles messages of the legacy era, on every transport.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { knownCapabilities } from '../../protocol/mcp/capabilities.ts';
import {
  CALL_METHODS,
  isLogLevel,
  LOG_LEVELS,
  negotiateLegacy,
  progressTokenOf,
  readPeer,
} from '../../protocol/mcp/vocabulary.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Caller, Gateway, MessageFacts } from '../../gateway/gateway.ts';
import { type Frame, type RequestFrame, resultText } from '../../protocol/mcp/frames.ts';
import { CallerExchange, type Send } from './exchange.ts';
import { type Answer, answerSink, refusedAnswer } from './encode.ts';
import type { Session, SessionOptions } from './session.ts';

export interface LegacyContext {
  readonly session: Session;
  readonly facts: MessageFacts;
  readonly send: Send;
}

interface RunningContext extends LegacyContext {
  readonly signal: CancelSignal;
}

/** Negotiates a session. Throws `invalid_params` if a parameter is missing, `not_found` if the endpoint's server does not exist. */
export function handleInitialize(
  gateway: Gateway,
  frame: RequestFrame,
  caller: Caller,
): { options: Omit<SessionOptions, 'limits'>; answer: Answer } {
  const { protocolVersion, capabilities, clientInfo } = frame.params;
  if (typeof protocolVersion !== 'string')
    throw new GatewayError('invalid_params', '`params.protocolVersion` must be a string.');
  if (!isObject(capabilities)) throw new GatewayError('invalid_params', '`params.capabilities` must be an object.');
  const version = negotiateLegacy(protocolVersion);
  const declared = gateway.declare(caller.endpoint, version);
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

/** Answers one request of a session; undefined if the client cancelled it and gets no answer. */
export async function answerLegacy(
  gateway: Gateway,
  frame: RequestFrame,
  context: LegacyContext,
): Promise<Answer | undefined> {
  const { session } = context;
  const refused = { id: frame.id, era: 'legacy', caller: session.caller } as const;
  let signal: CancelSignal;
  try {
    ({ signal } = session.begin(frame));
  } catch (thrown) {
    return refusedAnswer(gateway, refused, thrown);
  }
  try {
    const response = await answer(gateway, frame, { ...context, signal });
    return signal.aborted ? undefined : response;
  } catch (thrown) {
    return signal.aborted ? undefined : refusedAnswer(gateway, refused, thrown);
  } finally {
    session.finish(frame.id);
  }
}

/** Throws GatewayError if the request does not become a call. */
function answer(gateway: Gateway, frame: RequestFrame, context: RunningContext): Answer | Promise<Answer> {
  const { id, method } = frame;
  const { session } = context;
  if (method === 'ping') return { text: resultText(id, '{}'), status: 200 };
  if (method === 'logging/setLevel' && declaresLogging(gateway, session)) return setLevel(gateway, frame, session);
  const known = CALL_METHODS.get(method);
  if (!known?.eras.includes('legacy') || (known.since !== undefined && session.version < known.since))
    throw new GatewayError(
      'method_not_found',
      `There is no method ${JSON.stringify(method.slice(0, BOUNDS.quotedName))}.`,
    );
  return call(gateway, frame, context);
}

function setLevel(gateway: Gateway, { id, params }: RequestFrame, session: Session): Answer {
  if (!isLogLevel(params.level))
    throw new GatewayError('invalid_params', `\`params.level\` must be one of ${LOG_LEVELS.join(', ')}.`);
  session.logLevel = params.level;
  gateway.wantLogLevel(params.level, session.facts);
  return { text: resultText(id, '{}'), status: 200 };
}

async function call(
  gateway: Gateway,
  { id, method, params }: RequestFrame,
  { session, facts, signal, send }: RunningContext,
): Promise<Answer> {
  const exchange = new CallerExchange({
    signal,
    send,
    progressToken: progressTokenOf(isObject(params._meta) ? params._meta : undefined),
    logLevel: session.logLevel,
    capabilities: session.capabilities,
    questions: session.questions,
  });
  const request = {
    method,
    params,
    caller: session.caller,
    facts,
    client: session.client,
    era: 'legacy',
    revision: session.version,
    session: session.link,
    exchange,
  } as const;
  const sink = answerSink({ id, era: 'legacy', server: gateway.identity });
  const afterEnd =
    <Outcome>(encode: (outcome: Outcome) => Answer | Promise<Answer>) =>
    (outcome: Outcome) => {
      exchange.end();
      return encode(outcome);
    };
  return gateway.call(request, { end: afterEnd(sink.end), fail: afterEnd(sink.fail) });
}

function declaresLogging(gateway: Gateway, { caller, version }: Session): boolean {
  return gateway.declare(caller.endpoint, version).capabilities.logging !== undefined;
}

/** Accepts a response or notification of a session's client; ignores notifications that the gateway does not know. */
export function acceptMessage(frame: Exclude<Frame, RequestFrame>, session: Session): void {
  if (frame.kind === 'response') session.questions.answer(frame);
  else if (frame.method === 'notifications/cancelled') session.cancel(frame.params.requestId);
  else if (frame.method === 'notifications/roots/list_changed') session.rootsChanged();
}
