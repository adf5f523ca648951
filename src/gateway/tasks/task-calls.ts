// Calls about tasks: `tasks/get` and its like, answered from the server that has the task, in the words of the caller's era.
import type { Call, TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { relayed } from '../../core/exchange.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply, RpcError } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { declaresTasks, TASKS_CAPABILITY, withRelatedTask } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { checkDeclared } from '../bridge/declared-questions.ts';
import { bridgeResult } from '../bridge/results.ts';
import { isSame, requireSame } from './at-server.ts';
import { exchangeOfTask, LegacyTask } from './legacy-task.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import { type Destination, originOf, send } from '../sending.ts';

/** What every era gives an id of a task that it does not know, or no longer. */
const INVALID_PARAMS = -32602;

const EMPTY: JsonObject = Object.freeze({ resultType: 'complete' });

/** Throws `capability_required` where a modern client asks about tasks and does not say that it knows them (tasks extension, Protocol Errors). */
export function requireTasks({ era, exchange }: Call): void {
  if (era === 'legacy' || declaresTasks(exchange.capabilities)) return;
  throw new GatewayError('capability_required', 'The client declares no support for tasks.', {
    data: { requiredCapabilities: TASKS_CAPABILITY },
  });
}

/** Answers a call about a task. Throws GatewayError: `unknown_task` where its id leads nowhere. */
export async function callOfTask(call: Call, parts: DispatchParts): Promise<Reply> {
  requireTasks(call);
  if (call.method === 'tasks/list') return { kind: 'result', result: listOf(call, parts) };
  const { task } = call;
  const upstream = task && parts.upstream(task.target.server);
  if (!task || !upstream) throw unknownTask();
  const to = { target: task.target, upstream, traits: parts.catalog(call).traits(task.target) };
  if (call.era === 'legacy') return passLegacy(call, to, { task, parts });
  return task.kind === 'bridged' ? answerBridged(call, task, parts) : passModern(call, to, { task, parts });
}

interface Found {
  readonly task: TaskRef;
  readonly parts: DispatchParts;
}

/** A modern server's own task. */
async function passModern(call: Call, to: Destination, { task, parts }: Found): Promise<Reply> {
  if (task.kind !== 'modern') throw unknownTask();
  if (call.method !== 'tasks/get') await requireSame(to.upstream, task, call);
  const answered = await send(call, to, { params: { ...call.params, taskId: task.upstreamId }, tasks: true });
  const origin = originOf(to, answered);
  const { connection, reply } = answered;
  if (connection.era !== 'modern' || (call.method !== 'tasks/update' && isUnknown(reply))) throw unknownTask();
  if (reply.error) return { kind: 'error', error: reply.error, origin };
  const result = bridgeResult(call, 'modern', reply.result ?? {});
  if (call.method !== 'tasks/get') return { kind: 'result', result, origin };
  if (!isSame(task, result)) throw unknownTask();
  checkDeclared(call, task.target.server, result);
  if (isObject(result.result)) parts.seen.learn(call.principal.id, task.target.server, result.result);
  return { kind: 'result', result: { ...result, taskId: task.id }, origin };
}

/** A legacy server's task that the gateway follows. */
async function answerBridged(call: Call, ref: TaskRef, { tasks, seen }: DispatchParts): Promise<Reply> {
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
  if (isObject(found.task.result)) seen.learn(call.principal.id, ref.target.server, found.task.result);
  return { kind: 'result', result: { ...EMPTY, ...found.task } };
}

/** A legacy server's task for a legacy client: only the ids differ. */
async function passLegacy(call: Call, to: Destination, { task, parts }: Found): Promise<Reply> {
  const kept = parts.tasks.kept(task);
  if (!kept) throw unknownTask();
  if (call.method !== 'tasks/get') await requireSame(to.upstream, task, call);
  const params = { ...call.params, taskId: task.upstreamId };
  const answered = await (call.method === 'tasks/result'
    ? waitFor(call, to, { kept, params })
    : send(call, to, { params }));
  const { reply } = answered;
  const origin = originOf(to, answered);
  const isOther = call.method === 'tasks/get' && reply.result !== undefined && !isSame(task, reply.result);
  if (isOther || (call.method === 'tasks/get' && isUnknown(reply))) throw unknownTask();
  if (reply.error) return { kind: 'error', error: reply.error, origin };
  const result = reply.result ?? {};
  if (call.method !== 'tasks/result') return { kind: 'result', result: kept.note(result), origin };
  parts.seen.learn(call.principal.id, task.target.server, result);
  return { kind: 'result', result: withRelatedTask(withoutProtocolMeta(result), task.id), origin };
}

/** Whether a server has forgotten a task: that is said in our words, since its own name its own id. */
function isUnknown({ error }: { readonly error?: RpcError }): boolean {
  return error?.code === INVALID_PARAMS;
}

/** Waits for the end of a task, however long that takes; what the server asks meanwhile is put to whoever waits. */
async function waitFor(
  { exchange, method }: Call,
  { upstream }: Destination,
  { kept, params }: { kept: LegacyTask; params: JsonObject },
): Promise<UpstreamReply> {
  const { upstreamId, instance } = kept.ref;
  const leave = new Cancellation();
  const backs = [exchange.signal.onAbort(() => leave.abort()), kept.closed.onAbort(() => leave.abort())];
  const told = relayed(exchangeOfTask(exchange, kept), { signal: leave });
  const detach = kept.attach(exchange);
  try {
    const request = {
      method,
      params,
      totalMs: Infinity,
      exchange: told,
      principal: kept.principal.id,
      task: upstreamId,
      keptTask: true as const,
    };
    return await upstream.tasks.request(instance, request);
  } catch (failure) {
    throw kept.whyClosed ?? failure;
  } finally {
    detach();
    for (const back of backs) back();
  }
}

/** The tasks that the caller may ask for, from our own records; at most 100, so that there is one page. */
function listOf(call: Call, { tasks, permits }: DispatchParts): JsonObject {
  if (call.params.cursor !== undefined) throw new GatewayError('invalid_params', '`params.cursor` is not one of ours.');
  const own = tasks.records.of(call.principal).filter((task) => task instanceof LegacyTask);
  const shown = own.filter(
    ({ ref }) => (call.scope === undefined || call.scope === ref.target.server) && permits(ref.target),
  );
  return { tasks: shown.map((task) => task.described) };
}
