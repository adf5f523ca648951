// The end of the pipeline: lists come from the catalog, everything else goes to the server that has it.
import type { McpCall, OfferKind, Target } from '../core/call.ts';
import { excerpt, GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Exchange } from '../core/exchange.ts';
import type { Reply } from '../core/reply.ts';
import { type LogLevel, withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { withoutClientTasks } from '../protocol/mcp/questions.ts';
import { declaresLegacyTasks, declaresTasks, LEGACY_TASKS_SINCE } from '../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../upstream/mcp/upstream.ts';
import { bridgeError, bridgeResult } from './bridge/results.ts';
import { checkDeclared } from './bridge/declared-questions.ts';
import { LiveQuestions } from './bridge/live-questions.ts';
import { INPUT_REQUIRED } from './bridge/request-state.ts';
import { urlElicitations } from './bridge/url-elicitations.ts';
import { subscribe, unsubscribe } from './subscribe.ts';
import type { McpContext } from './resolve.ts';
import { listen } from './subscriptions-listen.ts';
import type { DispatchParts } from './dispatch-parts.ts';
import { pageOf } from './paging.ts';
import { type Destination, originOf, send } from './upstream-request.ts';
import { isModernTask } from './tasks/upstream-task.ts';
import { abortOnShutdown } from './abort-on-shutdown.ts';

/** Makes the end of the pipeline for MCP calls. */
export function dispatchMcp(parts: DispatchParts): (call: McpCall, ctx: McpContext) => Promise<Reply> {
  return async (call, ctx) => {
    try {
      const answering = dispatch(call, ctx, parts);
      return await (answering instanceof Promise ? parts.heartbeats.during(call.exchange, answering) : answering);
    } catch (failure) {
      throw parts.ending.aborted && !call.signal.aborted ? cutShort(failure) : failure;
    }
  };
}

function dispatch(call: McpCall, ctx: McpContext, parts: DispatchParts): Reply | Promise<Reply> {
  const known = CALL_METHODS.get(call.method);
  if (known?.lists) return list(call, known.lists, ctx);
  if (known?.capability === 'tasks') return parts.tasks.answer(call, ctx, parts);
  if (call.method === 'subscriptions/listen') return listen(call, ctx, parts);
  // the session knows at which server it subscribed; that may be another than the one which the URI leads to by now, or none
  if (call.method === 'resources/unsubscribe') return unsubscribe(call);
  const { target } = ctx;
  const upstream = target && parts.upstreams.get(target.server);
  if (upstream && target.pendingDiscovery) throw upstream.unavailable();
  if (!target || !upstream)
    throw new GatewayError(
      'unknown_target',
      `Nothing of this name is offered: ${excerpt(ctx.requested ?? call.method)}`,
    );
  if (call.method === 'resources/subscribe') return subscribe(call, target, parts);
  return forward(call, { target, upstream, traits: ctx.route.traits, ctx }, parts);
}

/** Once the gateway has let go of the servers, that is why a call fails, whatever it met. */
function cutShort(cause: unknown): GatewayError {
  const message =
    'The gateway stopped before the server answered. Whether the call took effect is not known; look before you call again.';
  return new GatewayError('gateway_closed', message, { cause });
}

function list(call: McpCall, of: OfferKind, { route }: McpContext): Reply {
  const { view, catalog, isPrivate } = route;
  return { kind: 'list', of, ...pageOf(call, view.lists[of], catalog.version), isPrivate };
}

/** Sends a call to its server, across the eras where they differ (design, The era bridge). */
async function forward(call: McpCall, to: Destination, parts: DispatchParts): Promise<Reply> {
  const params = paramsFor(call, to.target);
  if (call.era === 'legacy') return forwardLegacy(call, to, { parts, params });
  const { target, upstream } = to;
  const state = parts.states.open(call, target);
  if (state?.parked) {
    // a retry's wishes replace the first's; its stream and its token are put in place where it is resumed
    if (call.exchange.logLevel !== undefined) upstream.wantLogLevel(call.exchange.logLevel as LogLevel, call);
    return parts.parked.resume(call, to, state.parked);
  }
  const carried = state?.upstream === undefined ? params : { ...params, requestState: state.upstream };
  if (upstream.era === 'modern') {
    const tasks = declaresTasks(call.exchange.capabilities);
    return conclude(call, to, { parts, answered: await send(call, to, { params: carried, tasks }) });
  }
  const known = upstream.era === 'legacy' ? withoutRound(params) : withoutTask(carried);
  return parts.parked.begin(call, to, (exchange) => forwardToLegacy(call, to, { parts, params: known, exchange }));
}

/** A modern client's call at a server that is a legacy one, or may turn out to be. */
async function forwardToLegacy(call: McpCall, to: Destination, sending: Sending): Promise<Reply> {
  const { parts, params, exchange } = sending;
  const tasks = declaresTasks(call.exchange.capabilities);
  const { taskSupport } = to.traits;
  if (taskSupport !== undefined && tasks) return startTask(call, to, sending);
  if (taskSupport === 'required') return runAsTask(call, to, sending);
  return conclude(call, to, { parts, answered: await send(call, to, { params, exchange, tasks }) });
}

/** What a legacy server knows of a modern call: answers are given to it when it asks. */
function withoutRound(params: JsonObject): JsonObject {
  if (params.inputResponses === undefined && params.requestState === undefined) return withoutTask(params);
  const { inputResponses: _responses, requestState: _state, ...rest } = params;
  return withoutTask(rest);
}

/** A modern client makes no tasks: what it says about one means nothing (tasks extension, Capability Negotiation). */
function withoutTask(params: JsonObject): JsonObject {
  if (params.task === undefined) return params;
  const { task: _task, ...rest } = params;
  return rest;
}

interface Sending {
  readonly parts: DispatchParts;
  readonly params: JsonObject;
  readonly exchange: Exchange;
}

/** A legacy client's call: with its own task, as a task that it does not see, or as it is. */
async function forwardLegacy(
  call: McpCall,
  to: Destination,
  { parts, params }: { parts: DispatchParts; params: JsonObject },
): Promise<Reply> {
  const { exchange, revision } = call;
  const { taskSupport } = to.traits;
  if (params.task === undefined && taskSupport !== 'required') return forwardAsking(call, to, { parts, params });
  const { task, ...plain } = params;
  if (isObject(task) && revision >= LEGACY_TASKS_SINCE && declaresLegacyTasks(to.upstream.offer.capabilities))
    return startTask(call, to, { parts, params, exchange });
  if (taskSupport === 'required') return runAsTask(call, to, { parts, params: plain, exchange });
  return forwardAsking(call, to, { parts, params: plain });
}

/** Has a legacy server run a call as a task that its caller then asks about. */
async function startTask(call: McpCall, to: Destination, { parts, ...sent }: Sending): Promise<Reply> {
  const { answered, handle } = await parts.tasks.start(call, to, sent);
  return handle
    ? { kind: 'result', result: handle, origin: originOf(to, answered) }
    : conclude(call, to, { parts, answered });
}

/** Runs a call as a task for a caller that does not ask about tasks: the answer comes when the task ends (wire.md, Tasks). */
async function runAsTask(call: McpCall, to: Destination, { parts, ...sent }: Sending): Promise<Reply> {
  return conclude(call, to, { parts, answered: await parts.tasks.run(call, to, sent) });
}

/** A modern server's questions are put to a legacy client while its call runs, and its task is followed to the end. */
async function forwardAsking(
  call: McpCall,
  to: Destination,
  { parts, params }: { parts: DispatchParts; params: JsonObject },
): Promise<Reply> {
  const tasks = call.method === 'tools/call';
  let answered = await send(call, to, { params, tasks });
  if (!isQuestion(answered) && !isModernTask(answered)) return conclude(call, to, { parts, answered });
  return abortOnShutdown(call.exchange, parts.tasks.shutdown, async (exchange) => {
    const asking = { ...call, exchange };
    const questions = new LiveQuestions(asking, to.target.server);
    try {
      while (isQuestion(answered)) {
        const said = await questions.answer(answered.reply.result ?? {}, params);
        if ('error' in said) return { kind: 'error', error: said.error, origin: originOf(to, answered) };
        answered = await send(asking, to, { params: said.params, tasks, answers: true });
      }
      if (isModernTask(answered)) answered = await parts.tasks.runModern({ call: asking, to, answered }, questions);
      return conclude(call, to, { parts, answered });
    } finally {
      questions.end();
    }
  });
}

function isQuestion({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'modern' && reply.result?.resultType === INPUT_REQUIRED;
}

/** What the caller gets of what the server answered. */
function conclude(
  call: McpCall,
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
  if (isModernTask(answered) && declaresTasks(call.exchange.capabilities))
    return { kind: 'result', result: parts.tasks.pass({ call, to, answered }), origin };
  if (call.era === 'modern' && isQuestion(answered)) {
    checkDeclared(call, target.server, result);
    const questions = withoutClientTasks(parts.states.wrap(call, target, result));
    return { kind: 'result', result: withoutProtocolMeta(questions), origin };
  }
  if (connection.era === 'modern' && result.resultType !== undefined && result.resultType !== 'complete') {
    const what = JSON.stringify(result.resultType).slice(0, 64);
    throw new GatewayError(
      'upstream_protocol',
      `The server "${target.server}" answered with the result type ${what}, for which the gateway declared no support.`,
    );
  }
  parts.seen.remember(call.principal.id, target.server, result);
  return { kind: 'result', result: bridgeResult(call, { era: connection.era, traits: to.traits }, result), origin };
}

/** The caller's params with the name that the server knows; everything else as it was sent. */
function paramsFor(call: McpCall, target: Target): JsonObject {
  if (call.method === 'completion/complete') {
    const ref = call.params.ref;
    const key = target.kind === 'prompt' ? 'name' : 'uri';
    return { ...call.params, ref: { ...(isObject(ref) ? ref : {}), [key]: target.original } };
  }
  if (target.exposed === target.original) return call.params;
  return { ...call.params, [target.kind === 'resource' ? 'uri' : 'name']: target.original };
}
