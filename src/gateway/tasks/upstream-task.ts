// Reaching a task where it is: whatever is sent about one goes through here, and only to the one that is meant.
import type { TaskRef } from '../../core/call.ts';
import { ERRORS, unknownTask } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { MAX_TIME } from '../../protocol/mcp/tasks.ts';
import type { ConnectionRequest } from '../../upstream/mcp/connect/connection.ts';
import type { CallerFacts } from '../../upstream/mcp/instances/affinity.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';

/** What tells a task of a server from every other: its id, and when the server says that it made it. */
export type TaskIdentity = Pick<TaskRef, 'upstreamId' | 'createdAt'>;

/** A task, and the way to its server. */
export interface TaskAt {
  readonly task: TaskIdentity;
  /** How long one answer may take, in ms. */
  readonly totalMs: number;
  /** Throws GatewayError: `unknown_task` where the instance is gone. */
  readonly send: (request: ConnectionRequest) => Promise<WireReply>;
}

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

/** The way to a task of a caller. */
export function taskAt(upstream: Upstream, task: TaskRef, caller: CallerFacts): TaskAt {
  return {
    task,
    totalMs: upstream.config.timeouts.total,
    send: async (request) => (await sendToTask(upstream, { task, request, caller })).reply,
  };
}

/**
 * How a task stands: what its server says of it, or the error with which it knows none (`isUnknown`) or cannot say. Throws GatewayError:
 * `unknown_task` where another has the id now, since a server may begin anew with its ids.
 */
export async function look(at: TaskAt): Promise<WireReply> {
  const reply = await at.send(requestFor(at, 'tasks/get'));
  if (reply.result && !isSame(at.task, reply.result)) throw unknownTask();
  return reply;
}

/** Sends what is for this task and no other; where its server does not say that it is there, the answer is why. Throws GatewayError, as `look`. */
export async function reach(
  at: TaskAt,
  { method, params }: { method: string; params?: JsonObject },
): Promise<WireReply> {
  const standing = await look(at);
  return standing.error ? standing : at.send(requestFor(at, method, params));
}

/** Ends a task that nobody wants any more. One of which nobody can say whose it is ends with its time. Never throws. */
export async function cancelAtServer(at: TaskAt): Promise<void> {
  await reach(at, { method: 'tasks/cancel' }).catch(() => undefined);
}

/** Whether a server speaks of the task that it made then, as far as the time was kept; one that it did not say cannot differ. */
export function isSame({ upstreamId, createdAt }: TaskIdentity, said: JsonObject): boolean {
  if (said.taskId !== upstreamId) return false;
  return createdAt === undefined || createdAtOf(said) === createdAt.slice(0, MAX_TIME);
}

/** When a server says that it made a task, as far as that is kept. */
export function createdAtOf({ createdAt }: JsonObject): string | undefined {
  return typeof createdAt === 'string' ? createdAt.slice(0, MAX_TIME) : undefined;
}

/** Whether a server has forgotten a task, or never knew it (tasks extension, Protocol Errors). */
export function isUnknown({ error }: { readonly error?: RpcError }): boolean {
  return error?.code === ERRORS.unknown_task.jsonRpc;
}

function requestFor({ task, totalMs }: TaskAt, method: string, params?: JsonObject): ConnectionRequest {
  return { method, params: { ...params, taskId: task.upstreamId }, totalMs, capabilities: {}, tasks: true };
}
