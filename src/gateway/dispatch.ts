// The end of the pipeline: lists come from the catalog, everything else goes to the server that has it.
import { type Call, type Target } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { type Exchange } from '../core/exchange.ts';
import { type Origin, type Reply } from '../core/reply.ts';
import { type Handler } from '../core/stage.ts';
import { withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { mirrorArguments } from '../protocol/mcp/param-headers.ts';
import { traceparentOf } from '../telemetry/trace.ts';
import { type Upstream, type UpstreamReply } from '../upstream/mcp/upstream.ts';
import { bridgeError, bridgeResult } from './bridge/results.ts';
import { LiveQuestions } from './bridge/live-questions.ts';
import { INPUT_REQUIRED } from './bridge/request-state.ts';
import { urlElicitations } from './bridge/url-elicitations.ts';
import { listen } from './listening.ts';
import { type DispatchParts } from './dispatch-parts.ts';
import { pageOf } from './paging.ts';

/** Makes the last handler of a pipeline. */
export function createDispatch(parts: DispatchParts): Handler {
  return async (call) => {
    const lists = CALL_METHODS.get(call.method)?.lists;
    if (lists) {
      await parts.firstSight();
      const { all, server, version } = parts.catalog(call);
      const view = call.scope === undefined ? all : server(call.scope);
      return { kind: 'list', of: lists, ...pageOf(call, view?.lists[lists] ?? [], version) };
    }
    if (call.method === 'subscriptions/listen') return listen(call, parts);
    const { target } = call;
    const upstream = target && parts.upstream(target.server);
    if (!target || !upstream)
      throw new GatewayError('unknown_target', `Nothing of this name is offered: ${call.requested ?? call.method}`);
    if (call.method === 'resources/subscribe') return follow(call, upstream, true);
    if (call.method === 'resources/unsubscribe') return follow(call, upstream, false);
    return forward(call, { target, upstream }, parts);
  };
}

async function follow(call: Call, upstream: Upstream, wanted: boolean): Promise<Reply> {
  const uri = call.requested ?? '';
  const holder = call.session?.key ?? call.id;
  if (wanted) await upstream.follow(uri, holder, call);
  else upstream.unfollow(uri, holder);
  return { kind: 'result', result: {} };
}

/** Sends a call to its server, across the eras where they differ (design, The era bridge). */
async function forward(call: Call, to: Destination, parts: DispatchParts): Promise<Reply> {
  const { target, upstream } = to;
  const params = paramsFor(call, target);
  if (call.era === 'legacy') return forwardAsking(call, to, { parts, params });
  const state = parts.states.open(call, target);
  if (state?.parked) return parts.parked.resume(call, target, state.parked);
  const carried = state?.upstream === undefined ? params : { ...params, requestState: state.upstream };
  if (upstream.era === 'modern')
    return conclude(call, to, { parts, answered: await send(call, to, { parts, params: carried }) });
  const known = upstream.era === 'legacy' ? withoutRound(params) : carried;
  return parts.parked.begin(call, target, async (exchange) =>
    conclude(call, to, { parts, answered: await send(call, to, { parts, params: known, exchange }) }),
  );
}

/** What a legacy server knows of a modern call: answers are given to it when it asks. */
function withoutRound(params: JsonObject): JsonObject {
  if (params.inputResponses === undefined && params.requestState === undefined) return params;
  const { inputResponses: _responses, requestState: _state, ...rest } = params;
  return rest;
}

/** A modern server's questions are put to a legacy client while its call runs. */
async function forwardAsking(
  call: Call,
  to: Destination,
  { parts, params }: { parts: DispatchParts; params: JsonObject },
): Promise<Reply> {
  let answered = await send(call, to, { parts, params });
  if (!isQuestion(answered)) return conclude(call, to, { parts, answered });
  const questions = new LiveQuestions(call, to.target.server);
  try {
    while (isQuestion(answered)) {
      const said = await questions.answer(answered.reply.result ?? {}, params);
      if ('error' in said) return { kind: 'error', error: said.error, origin: originOf(to, answered) };
      answered = await send(call, to, { parts, params: said.params });
    }
    return conclude(call, to, { parts, answered });
  } finally {
    questions.end();
  }
}

interface Destination {
  readonly target: Target;
  readonly upstream: Upstream;
}

function isQuestion({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'modern' && reply.result?.resultType === INPUT_REQUIRED;
}

function send(
  call: Call,
  { target, upstream }: Destination,
  { parts, params, exchange = call.exchange }: { parts: DispatchParts; params: JsonObject; exchange?: Exchange },
): Promise<UpstreamReply> {
  const args = call.params.arguments;
  const mirrored = parts.catalog(call).mirrored(target);
  const headers =
    mirrored.length > 0 && isObject(args)
      ? { ...call.paramHeaders, ...mirrorArguments(mirrored, args) }
      : call.paramHeaders;
  return upstream.request(
    {
      method: call.method,
      params,
      totalMs: upstream.config.timeouts.total,
      exchange,
      traceparent: traceparentOf(call.trace),
      ...(call.trace.state !== undefined && { tracestate: call.trace.state }),
      ...(call.exchange.logLevel !== undefined && { logLevel: call.exchange.logLevel }),
      capabilities: call.exchange.capabilities,
      ...(headers && { headers }),
    },
    call,
  );
}

function originOf({ target }: Destination, { connection, reply }: UpstreamReply): Origin {
  return {
    server: target.server,
    instance: connection.instance,
    era: connection.era,
    transport: connection.wire.transport,
    bytes: reply.bytes,
  };
}

/** What the caller gets of what the server answered. */
function conclude(
  call: Call,
  to: Destination,
  { parts, answered }: { parts: DispatchParts; answered: UpstreamReply },
): Reply {
  const { target } = to;
  const { connection, reply } = answered;
  const origin = originOf(to, answered);
  if (reply.error) {
    const pages = call.era === 'modern' && connection.era === 'legacy' ? urlElicitations(call, reply.error) : undefined;
    if (pages) return { kind: 'result', result: pages, origin };
    return { kind: 'error', error: bridgeError(call, reply.error), origin };
  }
  const result = reply.result ?? {};
  if (isQuestion(answered))
    return { kind: 'result', result: withoutProtocolMeta(parts.states.wrap(call, target, result)), origin };
  if (connection.era === 'modern' && result.resultType !== undefined && result.resultType !== 'complete') {
    const what = JSON.stringify(result.resultType).slice(0, 64);
    throw new GatewayError(
      'upstream_protocol',
      `The server "${target.server}" answered with the result type ${what}, for which the gateway declared no support.`,
    );
  }
  parts.seen.learn(call.principal.id, target.server, result);
  return { kind: 'result', result: bridgeResult(call, connection.era, result), origin };
}

/** The caller's params with the name that the server knows; everything else as it was sent. */
function paramsFor(call: Call, target: Target): JsonObject {
  if (call.method === 'completion/complete') {
    const ref = call.params.ref;
    const key = target.kind === 'prompt' ? 'name' : 'uri';
    return { ...call.params, ref: { ...(isObject(ref) ? ref : {}), [key]: target.original } };
  }
  if (target.exposed === target.original) return call.params;
  return { ...call.params, [target.kind === 'resource' ? 'uri' : 'name']: target.original };
}
