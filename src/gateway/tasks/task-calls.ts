// Calls about tasks: `tasks/get` and its like, answered from the server that has the task, in the words of the caller's era.
import { type McpCall, serverOf, type TaskRef } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { declaresTasks, TASKS_CAPABILITY, withRelatedTask } from '../../protocol/mcp/tasks.ts';
import type { Connection } from '../../upstream/mcp/connect/connection.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { checkDeclared } from '../bridge/declared-questions.ts';
import { bridgeResult } from '../bridge/results.ts';
import { isSame, isUnknown, look, taskAt } from './upstream-task.ts';
import { LegacyTask } from './legacy-task.ts';
import { awaitTaskResult } from './await-task-result.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import type { McpContext } from '../resolve.ts';
import { type Destination, originOf, send } from '../upstream-request.ts';

const EMPTY: JsonObject = Object.freeze({ resultType: 'complete' });

/** Throws `capability_required` where a modern client asks about tasks and does not say that it knows them (tasks extension, Protocol Errors). */
export function requireTasks({ era, exchange }: McpCall): void {
  if (era === 'legacy' || declaresTasks(exchange.capabilities)) return;
  throw new GatewayError('capability_required', 'The client declares no support for tasks.', {
    data: { requiredCapabilities: TASKS_CAPABILITY },
  });
}

/** Answers a call about a task. Throws GatewayError: `unknown_task` where its id leads nowhere. */
export async function callOfTask(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
  requireTasks(call);
  if (call.method === 'tasks/list') return { kind: 'result', result: listOf(call, ctx, parts) };
  const { task } = ctx;
  const upstream = task && parts.upstreams.get(task.target.server);
  if (!task || !upstream) throw unknownTask();
  const to = { target: task.target, upstream, traits: ctx.route.traits, ctx };
  if (call.era === 'legacy') return passLegacy(call, to, { task, parts });
  return task.kind === 'bridged' ? answerBridged(call, task, parts) : passModern(call, to, { task, parts });
}

interface Found {
  readonly task: TaskRef;
  readonly parts: DispatchParts;
}

/** A modern server's own task. */
async function passModern(call: McpCall, to: Destination, { task, parts }: Found): Promise<Reply> {
  if (task.kind !== 'modern') throw unknownTask();
  const refusal = await lookFirst(call, to, task);
  if (refusal) return refusal;
  const answered = await send(call, to, { params: { ...call.params, taskId: task.upstreamId }, tasks: true });
  const origin = originOf(to, answered);
  const { connection, reply } = answered;
  if (connection.era !== 'modern' || (call.method !== 'tasks/update' && isUnknown(reply))) throw unknownTask();
  if (reply.error) return { kind: 'error', error: reply.error, origin };
  const result = bridgeResult(call, { era: 'modern', traits: to.traits }, reply.result ?? {});
  if (call.method !== 'tasks/get') return { kind: 'result', result, origin };
  if (!isSame(task, result)) throw unknownTask();
  checkDeclared(call, task.target.server, result);
  if (isObject(result.result)) parts.seen.remember(call.principal.id, task.target.server, result.result);
  return { kind: 'result', result: { ...result, taskId: task.id }, origin };
}

/** A legacy server's task that the gateway follows. */
async function answerBridged(call: McpCall, ref: TaskRef, { tasks, seen }: DispatchParts): Promise<Reply> {
  const task = tasks.bridged(ref);
  if (!task) throw unknownTask();
  if (call.method === 'tasks/update') {
    const { inputResponses } = call.params;
    if (!isObject(inputResponses))
      throw new GatewayError('invalid_params', '`params.inputResponses` must be an object.');
    task.update(inputResponses);
  }
  if (call.method === 'tasks/cancel') await task.cancel();
  if (call.method !== 'tasks/get') return { kind: 'result', result: EMPTY };
  const found = await task.get();
  if ('error' in found) {
    if (isUnknown(found)) throw unknownTask();
    return { kind: 'error', error: found.error };
  }
  if (isObject(found.task.result)) seen.remember(call.principal.id, ref.target.server, found.task.result);
  return { kind: 'result', result: { ...EMPTY, ...found.task } };
}

/** A legacy server's task for a legacy client: only the ids differ. */
async function passLegacy(call: McpCall, to: Destination, { task, parts }: Found): Promise<Reply> {
  const kept = parts.tasks.kept(task);
  if (!kept) throw unknownTask();
  const refusal = await lookFirst(call, to, task);
  if (refusal) return refusal;
  const answered = await (call.method === 'tasks/result'
    ? waitFor(call, to, kept)
    : send(call, to, { params: { ...call.params, taskId: task.upstreamId } }));
  const { reply } = answered;
  const origin = originOf(to, answered);
  const isOther = call.method === 'tasks/get' && reply.result !== undefined && !isSame(task, reply.result);
  if (isOther || (call.method === 'tasks/get' && isUnknown(reply))) throw unknownTask();
  if (reply.error) return { kind: 'error', error: reply.error, origin };
  const result = reply.result ?? {};
  if (call.method !== 'tasks/result') return { kind: 'result', result: kept.record(result), origin };
  kept.recordResult(result);
  parts.seen.remember(call.principal.id, task.target.server, result);
  const known = bridgeResult(call, { era: 'legacy', traits: to.traits }, result);
  return { kind: 'result', result: withRelatedTask(withoutProtocolMeta(known), task.id), origin };
}

/** Before anything but a look: the answer where the server does not say that the task is there. Throws `unknown_task` where it is not, or another is. */
async function lookFirst(call: McpCall, { upstream }: Destination, task: TaskRef): Promise<Reply | undefined> {
  if (call.method === 'tasks/get') return undefined;
  const standing = await look(taskAt(upstream, task, call));
  // said in our words, since the server's own name its own id
  if (isUnknown(standing)) throw unknownTask();
  return standing.error && { kind: 'error', error: standing.error };
}

/** Waits for the end of a task, however long that takes, with all others who do; what the server asks meanwhile is put to one of them. */
async function waitFor({ exchange }: McpCall, { upstream }: Destination, kept: LegacyTask): Promise<UpstreamReply> {
  const leave = new Cancellation();
  const backs = [exchange.signal.onAbort(() => leave.abort()), kept.closed.onAbort(() => leave.abort())];
  const detach = kept.attach(exchange);
  try {
    return await kept.end.join(leave, (signal) => untilEndOf(kept, upstream, signal));
  } catch (failure) {
    throw kept.whyClosed ?? failure;
  } finally {
    detach();
    for (const back of backs) back();
  }
}

/** The one wait at the server, for whoever waits here. */
async function untilEndOf(kept: LegacyTask, upstream: Upstream, signal: CancelSignal): Promise<UpstreamReply> {
  const { ref, principal } = kept;
  const { upstreamId, instance } = ref;
  const exchange = kept.exchangeOfAll(signal);
  const params = { taskId: upstreamId };
  const waiting = { method: 'tasks/result', params, exchange, principal: principal.id, task: upstreamId };
  let connection: Connection | undefined;
  const reply = await awaitTaskResult({
    wait: async (totalMs) => {
      const answered = await upstream.tasks.request(instance, { ...waiting, keptTask: true, totalMs });
      ({ connection } = answered);
      return answered.reply;
    },
    look: () => look(taskAt(upstream, ref, { principal, exchange })),
    place: (kind) => upstream.tasks.stand(instance, principal.id, kind),
    leftMs: () => Infinity,
    signal,
  });
  if (!connection) throw unknownTask(); // it is gone before anybody could wait for it
  return { reply, connection };
}

/** The tasks that the caller may ask for, from our own records; at most 100, so that there is one page. */
function listOf(call: McpCall, { rules }: McpContext, { tasks }: DispatchParts): JsonObject {
  if (call.params.cursor !== undefined) throw new GatewayError('invalid_params', '`params.cursor` is not one of ours.');
  const server = serverOf(call.endpoint);
  const own = tasks.records.of(call.principal).filter((task) => task instanceof LegacyTask);
  const shown = own.filter(
    ({ ref }) => (server === undefined || server === ref.target.server) && rules.policy.permits(ref.target),
  );
  return { tasks: shown.map((task) => task.described) };
}
