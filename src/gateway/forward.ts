// Forwards a call to its server, and translates between the eras where client and server speak different ones (docs/bridge.md).
import type { McpCall, Target } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Reply } from '../core/reply.ts';
import { type LogLevel, withoutProtocolMeta } from '../protocol/mcp/vocabulary.ts';
import { declaresLegacyTasks, declaresTasks, withoutClientTasks } from '../protocol/mcp/capabilities.ts';
import { LEGACY_TASKS_SINCE } from '../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../upstream/mcp/upstream.ts';
import { LiveQuestions } from './bridge/live-questions.ts';
import { bridgeError, bridgeResult, checkDeclared, urlElicitations } from './bridge/results.ts';
import type { DispatchParts } from './dispatch.ts';
import { showUris } from './result-uris.ts';
import { runModernTask } from './tasks/modern-run.ts';
import type { TaskCall } from './tasks/legacy-tasks.ts';
import { type Destination, isModernTask, isQuestion, originOf, send, type Sent } from './upstream-request.ts';

/** The way of one call to its server. Its methods throw GatewayError. */
export class Forwarding {
  private readonly call: McpCall;
  private readonly to: Destination;
  private readonly parts: DispatchParts;

  constructor(call: McpCall, to: Destination, parts: DispatchParts) {
    this.call = call;
    this.to = to;
    this.parts = parts;
  }

  /** Forwards the call. Resolves with the server's reply, or with a round of questions. */
  run(): Promise<Reply> {
    const { call, to, parts } = this;
    const { target, upstream } = to;
    const params = paramsFor(call, target);
    if (call.era === 'legacy') return this.fromLegacy(params);
    const state = parts.states.open(call, target);
    if (state?.parked) {
      // the log level of the retry replaces that of the first request; `resume` does the same with its stream and its progress token
      if (call.exchange.logLevel !== undefined) upstream.wantLogLevel(call.exchange.logLevel as LogLevel, call);
      return parts.parked.resume(call, to, state.parked);
    }
    const carried = state?.upstream === undefined ? params : { ...params, requestState: state.upstream };
    const era = upstream.eraFor(call.era);
    if (era === 'modern') return this.send({ params: carried, tasks: this.takesTasks });
    const known = withoutTask(era === 'legacy' ? withoutRound(params) : carried);
    return parts.parked.begin(call, to, (exchange) => this.fromModern({ params: known, exchange }));
  }

  /** Whether a modern client takes a task as the answer. */
  private get takesTasks(): boolean {
    return declaresTasks(this.call.exchange.capabilities);
  }

  /** Forwards a modern client's call to a server that is legacy, or whose era is not known yet. */
  private fromModern(sent: TaskCall): Promise<Reply> {
    const { taskSupport } = this.to.traits;
    if (taskSupport !== undefined && this.takesTasks) return this.startTask(sent);
    if (taskSupport === 'required') return this.runAsTask(sent);
    return this.send({ ...sent, tasks: this.takesTasks });
  }

  /** Forwards a legacy client's call: as the task that the client wants, as a task that the client does not see, or as it is. */
  private fromLegacy(params: JsonObject): Promise<Reply> {
    const { call } = this;
    const { exchange, revision } = call;
    const { traits, upstream } = this.to;
    const { task } = params;
    if (
      isObject(task) &&
      revision >= LEGACY_TASKS_SINCE &&
      declaresLegacyTasks(upstream.offerIn(call.era).capabilities)
    )
      return this.startTask({ params, exchange });
    const known = withoutTask(params);
    return traits.taskSupport === 'required' ? this.runAsTask({ params: known, exchange }) : this.sendAsking(known);
  }

  private async send(sent: Sent): Promise<Reply> {
    return this.conclude(await send(this.call, this.to, sent));
  }

  /** Makes a task of the call at a legacy server; the caller gets the handle of the task and polls. */
  private async startTask(sent: TaskCall): Promise<Reply> {
    const { answered, handle } = await this.parts.tasks.legacy.start(this.call, this.to, sent);
    return handle ? { kind: 'result', result: handle, origin: originOf(this.to, answered) } : this.conclude(answered);
  }

  /** Makes a task of the call at a legacy server, and waits for its result in the place of a caller that does not poll (wire.md, Tasks). */
  private async runAsTask(sent: TaskCall): Promise<Reply> {
    return this.conclude(await this.parts.tasks.legacy.run(this.call, this.to, sent));
  }

  /**
   * Forwards a legacy client's call. Puts the questions of a modern server to the client while the call runs, and polls the task that such a
   * server makes of the call until the task ends.
   */
  private async sendAsking(params: JsonObject): Promise<Reply> {
    const { call, to, parts } = this;
    const tasks = call.method === 'tools/call';
    let answered = await send(call, to, { params, tasks });
    if (!isQuestion(answered) && !isModernTask(answered)) return this.conclude(answered);
    return parts.tasks.abortable(call.exchange, async (exchange) => {
      const asking = { ...call, exchange };
      const questions = new LiveQuestions(asking, to.target.server);
      try {
        while (isQuestion(answered)) {
          const round = await questions.answer(answered.reply.result ?? {}, params);
          if ('error' in round) return { kind: 'error', error: round.error, origin: originOf(to, answered) };
          answered = await send(asking, to, { params: round.params, tasks, answers: true });
        }
        if (isModernTask(answered)) answered = await runModernTask(answered, { exchange, to, questions });
        return this.conclude(answered);
      } finally {
        questions.end();
      }
    });
  }

  /** The reply to the caller that is made of the server's answer. Throws GatewayError where the caller cannot be given the answer. */
  private conclude(answered: UpstreamReply): Reply {
    const { call, to, parts } = this;
    const { target } = to;
    const { connection, reply } = answered;
    const origin = originOf(to, answered);
    if (reply.error) {
      const pages =
        call.era === 'modern' && connection.era === 'legacy' ? urlElicitations(call, reply.error) : undefined;
      if (pages) return { kind: 'result', result: pages, origin };
      return { kind: 'error', error: bridgeError(call, reply.error), origin };
    }
    const result = reply.result ?? {};
    if (isModernTask(answered) && this.takesTasks)
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
    const shown = showUris(call, result, { target, view: to.ctx.route.view, seen: parts.seen });
    return { kind: 'result', result: bridgeResult(call, { era: connection.era, traits: to.traits }, shown), origin };
  }
}

/** The params without answers and state: a legacy server gets answers as replies to its own requests. */
function withoutRound(params: JsonObject): JsonObject {
  if (params.inputResponses === undefined && params.requestState === undefined) return params;
  const { inputResponses: _responses, requestState: _state, ...rest } = params;
  return rest;
}

/** The params without `task`, which has no meaning from a modern client (tasks extension, Capability Negotiation). */
function withoutTask(params: JsonObject): JsonObject {
  if (params.task === undefined) return params;
  const { task: _task, ...rest } = params;
  return rest;
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
