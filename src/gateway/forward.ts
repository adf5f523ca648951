// Forwards a call to its server, and translates between the eras where client and server speak different ones (docs/bridge.md).
import type { McpCall, Target } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import type { Exchange } from '../core/exchange.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Reply } from '../core/reply.ts';
import { type LogLevel, withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { withoutClientTasks } from '../protocol/mcp/questions.ts';
import { declaresLegacyTasks, declaresTasks, LEGACY_TASKS_SINCE } from '../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../upstream/mcp/upstream.ts';
import { abortOnShutdown } from './abort-on-shutdown.ts';
import { bridgeError, bridgeResult, checkDeclared, urlElicitations } from './bridge/results.ts';
import { LiveQuestions } from './bridge/live-questions.ts';
import { INPUT_REQUIRED } from './bridge/request-state.ts';
import type { DispatchParts } from './dispatch.ts';
import { isModernTask } from './tasks/upstream-task.ts';
import { type Destination, originOf, send } from './upstream-request.ts';

/** What is sent to a server, and the exchange that the server gets. */
interface Sending {
  readonly parts: DispatchParts;
  readonly params: JsonObject;
  readonly exchange: Exchange;
}

/** Forwards a call. Resolves with the server's reply, or with a round of questions. Throws GatewayError. */
export async function forward(call: McpCall, to: Destination, parts: DispatchParts): Promise<Reply> {
  const params = paramsFor(call, to.target);
  if (call.era === 'legacy') return forwardLegacy(call, to, { parts, params });
  const { target, upstream } = to;
  const state = parts.states.open(call, target);
  if (state?.parked) {
    // the log level of the retry replaces that of the first request; `resume` does the same with its stream and its progress token
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

/** Forwards a modern client's call to a server that is legacy, or whose era is not known yet. */
async function forwardToLegacy(call: McpCall, to: Destination, sending: Sending): Promise<Reply> {
  const { parts, params, exchange } = sending;
  const tasks = declaresTasks(call.exchange.capabilities);
  const { taskSupport } = to.traits;
  if (taskSupport !== undefined && tasks) return startTask(call, to, sending);
  if (taskSupport === 'required') return runAsTask(call, to, sending);
  return conclude(call, to, { parts, answered: await send(call, to, { params, exchange, tasks }) });
}

/** The params without answers and state: a legacy server gets answers as replies to its own requests. */
function withoutRound(params: JsonObject): JsonObject {
  if (params.inputResponses === undefined && params.requestState === undefined) return withoutTask(params);
  const { inputResponses: _responses, requestState: _state, ...rest } = params;
  return withoutTask(rest);
}

/** The params without `task`, which has no meaning from a modern client (tasks extension, Capability Negotiation). */
function withoutTask(params: JsonObject): JsonObject {
  if (params.task === undefined) return params;
  const { task: _task, ...rest } = params;
  return rest;
}

/** Forwards a legacy client's call: as the task that the client wants, as a task that the client does not see, or as it is. */
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

/** Makes a task of a call at a legacy server; the caller gets the handle of the task and polls. */
async function startTask(call: McpCall, to: Destination, { parts, ...sent }: Sending): Promise<Reply> {
  const { answered, handle } = await parts.tasks.start(call, to, sent);
  return handle
    ? { kind: 'result', result: handle, origin: originOf(to, answered) }
    : conclude(call, to, { parts, answered });
}

/** Makes a task of a call at a legacy server, and waits for its result in the place of a caller that does not poll (wire.md, Tasks). */
async function runAsTask(call: McpCall, to: Destination, { parts, ...sent }: Sending): Promise<Reply> {
  return conclude(call, to, { parts, answered: await parts.tasks.run(call, to, sent) });
}

/**
 * Forwards a legacy client's call. Puts the questions of a modern server to the client while the call runs, and polls the task that such a
 * server makes of the call until the task ends.
 */
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
        const round = await questions.answer(answered.reply.result ?? {}, params);
        if ('error' in round) return { kind: 'error', error: round.error, origin: originOf(to, answered) };
        answered = await send(asking, to, { params: round.params, tasks, answers: true });
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

/** The reply to the caller that is made of the server's answer. Throws GatewayError where the caller cannot be given the answer. */
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

/** The caller's params with the name that the server knows; everything else as the caller sent it. */
function paramsFor(call: McpCall, target: Target): JsonObject {
  if (call.method === 'completion/complete') {
    const ref = call.params.ref;
    const key = target.kind === 'prompt' ? 'name' : 'uri';
    return { ...call.params, ref: { ...(isObject(ref) ? ref : {}), [key]: target.original } };
  }
  if (target.exposed === target.original) return call.params;
  return { ...call.params, [target.kind === 'resource' ? 'uri' : 'name']: target.original };
}
