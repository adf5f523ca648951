// Reaching a task where it is, and making sure that it is still the one that its caller means.
import type { TaskRef } from '../../core/call.ts';
import { unknownTask } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { MAX_TIME } from '../../protocol/mcp/tasks.ts';
import type { ConnectionRequest } from '../../upstream/mcp/connect/connection.ts';
import type { CallerFacts } from '../../upstream/mcp/instances/affinity.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';

interface TaskRequest {
  readonly task: TaskRef;
  readonly request: ConnectionRequest;
  readonly caller: CallerFacts;
}

/**
 * Sends something about a task to the instance that has it. A modern server over HTTP has no instances: whoever answers at its URL is the
 * one. Throws `unknown_task` where the instance is gone.
 */
export function sendToTask(upstream: Upstream, { task, request, caller }: TaskRequest): Promise<UpstreamReply> {
  const moves =
    task.kind === 'modern' && upstream.config.transport !== 'stdio' && !upstream.tasks.isLive(task.instance);
  return moves ? upstream.request(request, caller) : upstream.tasks.request(task.instance, request);
}

/** A server may have begun anew with its ids: nobody gets at the task of another that has one's old id now. Throws `unknown_task`. */
export async function requireSame(upstream: Upstream, task: TaskRef, caller: CallerFacts): Promise<void> {
  const { total } = upstream.config.timeouts;
  const params = { taskId: task.upstreamId };
  const request = { method: 'tasks/get', params, totalMs: total, capabilities: {}, tasks: true };
  const { reply } = await sendToTask(upstream, { task, request, caller });
  if (!isSame(task, reply.result ?? {})) throw unknownTask();
}

/** Whether a server speaks of the task that it made then, as far as the time was kept; one that it did not say cannot differ. */
export function isSame({ createdAt }: Pick<TaskRef, 'createdAt'>, said: JsonObject): boolean {
  if (createdAt === undefined) return true;
  return typeof said.createdAt === 'string' && said.createdAt.slice(0, MAX_TIME) === createdAt.slice(0, MAX_TIME);
}
