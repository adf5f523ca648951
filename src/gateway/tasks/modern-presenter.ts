// Presents a modern server's task to a modern client: passes it through under an id of the gateway, and keeps nothing of it (wire.md, Tasks).
import type { McpCall, TaskRef } from '../../core/call.ts';
import { unknownTask } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/vocabulary.ts';
import { withoutClientTasks } from '../../protocol/mcp/capabilities.ts';
import { bridgeResult, checkDeclared } from '../bridge/results.ts';
import { type Destination, originOf, send } from '../upstream-request.ts';
import { isSame, isUnknown } from './upstream-task.ts';

/** The result of the call that became the task: without questions, which only `tasks/get` shows (tasks extension, Task Creation). */
export function presentHandle(task: TaskRef, result: JsonObject): JsonObject {
  const { inputRequests: _asked, ...shown } = withoutProtocolMeta(result);
  return { ...shown, taskId: task.id };
}

/** Answers a `tasks/*` call. Throws GatewayError: `capability_required` where the task asks something that its caller did not declare. */
export async function answerModern(call: McpCall, to: Destination, task: TaskRef): Promise<Reply> {
  const { method } = call;
  const answered = await send(call, to, { params: { ...call.params, taskId: task.upstreamId }, tasks: true });
  const { connection, reply } = answered;
  if (connection.era !== 'modern' || (method !== 'tasks/update' && isUnknown(reply))) throw unknownTask();
  const origin = originOf(to, answered);
  if (reply.error) return { kind: 'error', error: reply.error, origin };
  const result = bridgeResult(call, { era: 'modern', traits: to.traits }, reply.result ?? {});
  if (method !== 'tasks/get') return { kind: 'result', result, origin };
  if (!isSame(task, result)) throw unknownTask();
  checkDeclared(call, task.target.server, result);
  return { kind: 'result', result: { ...result, taskId: task.id }, origin };
}

/**
 * The notification that a listener gets, from a server's notification or its answer to `tasks/get`. Undefined where the task asks something
 * that the listener did not declare; the listener learns that from `tasks/get`.
 */
export function presentNotification(call: McpCall, task: TaskRef, described: JsonObject): JsonObject | undefined {
  const { resultType: _complete, ...shown } = described;
  try {
    checkDeclared(call, task.target.server, shown);
  } catch {
    return undefined;
  }
  return { ...withoutClientTasks(withoutProtocolMeta(shown)), taskId: task.id };
}
