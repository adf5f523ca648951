// Sends every request about a task to the instance that has it, and makes sure that the server still means the same task by its id.
import { doublingMs } from '../../core/backoff.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { TaskRef } from '../../core/call.ts';
import { pause } from '../../core/cancellation.ts';
import { type ErrorCode, ERRORS, GatewayError, unknownTask } from '../../core/errors.ts';
import type { Exchange } from '../../core/exchange.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { isTerminal, taskIdOf } from '../../protocol/mcp/tasks.ts';
import type { ConnectionRequest } from '../../upstream/mcp/connect/connection.ts';
import type { InstanceCaller } from '../../upstream/mcp/instances/affinity.ts';
import type { PlaceKind } from '../../upstream/mcp/instances/task-instances.ts';
import type { Upstream, UpstreamReply } from '../../upstream/mcp/upstream.ts';

/** Failures of a request about a task after which the task may still run. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'upstream_closed',
  'upstream_timed_out',
  'upstream_failed',
  'upstream_unreachable',
]);

/** Distinguishes a task from every other task of its server: its id, and the time of its creation as the server gives it. */
export type TaskIdentity = Pick<TaskRef, 'upstreamId' | 'createdAt'>;

/** Sends requests to the server of a task. */
export interface TaskRoute {
  /** The limit of one request, in ms. */
  readonly totalMs: number;
  /** Throws GatewayError: `unknown_task` where the instance is gone. */
  readonly send: (request: ConnectionRequest) => Promise<UpstreamReply>;
  /** Takes a slot for a request that stays open. Returns how to release it, or undefined where none is free. Absent where no slot is needed. */
  readonly takeSlot?: (kind: PlaceKind) => (() => void) | undefined;
}

export interface ResultWait {
  /** Gets progress, log lines and questions meanwhile. The wait ends when its signal is aborted. */
  readonly exchange: Exchange;
  /** The id of the principal that waits. */
  readonly principal: string;
  /** Set where the registry keeps the task: then the registry finds the client that answers its questions, not this wait. */
  readonly keptTask?: true;
  /** Whether a question of the task is open already. */
  readonly hasQuestions?: () => boolean;
  /** How long the wait may still last, in ms; absent where it may last as long as the task. */
  readonly leftMs?: () => number;
}

/** An answer to `tasks/result`. */
export interface ResultReply extends UpstreamReply {
  /** Set where the error says that the server has forgotten the task; else an error is the outcome of the task. */
  readonly isForgotten?: true;
}

export class UpstreamTask {
  readonly identity: TaskIdentity;
  readonly totalMs: number;
  private readonly route: TaskRoute;

  constructor(identity: TaskIdentity, route: TaskRoute) {
    this.identity = identity;
    this.totalMs = route.totalMs;
    this.route = route;
  }

  /**
   * Sends `tasks/get`. An error in the reply is the server's: it does not know the task (`isUnknown`), or could not answer. Throws GatewayError:
   * `unknown_task` where the server has given the id to another task.
   */
  async get(): Promise<UpstreamReply> {
    const answered = await this.send('tasks/get');
    const { result } = answered.reply;
    if (result && !isSame(this.identity, result)) throw unknownTask();
    return answered;
  }

  /** Sends `tasks/get`, and then the request if the server knows the task; else returns the server's error. Throws GatewayError, as `get`. */
  async request(method: string, params?: JsonObject): Promise<UpstreamReply> {
    const state = await this.get();
    return state.reply.error ? state : this.send(method, params);
  }

  /** Cancels the task, unless `tasks/get` fails: then the task is left to its `ttl`. Never throws. */
  async cancel(): Promise<void> {
    await this.request('tasks/cancel').catch(() => undefined);
  }

  /**
   * The answer to `tasks/result`, which a legacy server gives at the end of the task; or the error with which the server says that it has
   * forgotten the task. A wait that is cut short is repeated as long as the server knows the task. Throws GatewayError: the failure of the last
   * wait, or `cancelled`.
   */
  async result(wait: ResultWait): Promise<ResultReply> {
    for (let cuts = 0; ; cuts++) {
      const startedAt = performance.now();
      try {
        return await this.waitInSlot(wait);
      } catch (failure) {
        if (!isTransient(failure)) throw failure;
        if (performance.now() - startedAt >= BOUNDS.taskLongWait) cuts = 0;
        const state = await this.getAfterCut(failure, cuts, wait);
        if (state.reply.error) return { ...state, isForgotten: true };
      }
    }
  }

  /** Polls until a slot is free, and then waits. The result of a task that has ended needs no slot, because it comes at once. */
  private async waitInSlot(wait: ResultWait): Promise<ResultReply> {
    const leftMs = wait.leftMs ?? (() => Infinity);
    const { takeSlot } = this.route;
    for (;;) {
      const release = takeSlot ? takeSlot('standing') : () => undefined;
      if (release) return this.wait(wait, leftMs()).finally(release);
      const state = await this.get();
      if (isUnknown(state.reply)) return { ...state, isForgotten: true };
      const { status, pollInterval } = state.reply.result ?? {};
      if (isTerminal(status)) return this.wait(wait, leftMs());
      const result = status === 'input_required' ? await this.waitBriefly(wait) : undefined;
      if (result) return result;
      await pause(pollMsOf(pollInterval), wait.exchange.signal);
    }
  }

  /** Waits for a short time, so that a legacy server can ask its questions on the stream of the wait (2025-11-25 basic/utilities/tasks, Input Required Status). */
  private async waitBriefly(wait: ResultWait): Promise<UpstreamReply | undefined> {
    const release = wait.hasQuestions?.() === true ? undefined : this.route.takeSlot?.('brief');
    if (!release) return undefined;
    try {
      return await this.wait(wait, BOUNDS.taskBriefWait);
    } catch (failure) {
      if (failure instanceof GatewayError && failure.code === 'upstream_timed_out') return undefined;
      throw failure;
    } finally {
      release();
    }
  }

  private wait({ exchange, principal, keptTask }: ResultWait, totalMs: number): Promise<UpstreamReply> {
    const { upstreamId } = this.identity;
    const params = { taskId: upstreamId };
    const kept = keptTask && { keptTask };
    return this.route.send({ method: 'tasks/result', params, exchange, principal, task: upstreamId, totalMs, ...kept });
  }

  /** Sends `tasks/get` after a wait was cut short, repeatedly where the server cannot answer. Throws the failure that cut the wait. */
  private async getAfterCut(cut: unknown, cuts: number, { leftMs, exchange }: ResultWait): Promise<UpstreamReply> {
    for (let failures = 1; failures <= BOUNDS.taskRequestFailures; failures++) {
      const pauseMs = doublingMs(cuts + failures - 1, {
        firstMs: BOUNDS.taskRetryFirstPause,
        mostMs: BOUNDS.taskRetryPause,
      });
      if (leftMs && leftMs() <= pauseMs) throw cut;
      await pause(pauseMs, exchange.signal);
      const state = await this.get().catch((failure: unknown) => {
        if (!isTransient(failure)) throw cut;
      });
      if (leftMs && leftMs() <= 0) throw cut;
      if (state && (!state.reply.error || isUnknown(state.reply))) return state;
    }
    throw cut;
  }

  private send(method: string, params?: JsonObject): Promise<UpstreamReply> {
    const { upstreamId } = this.identity;
    const { totalMs } = this;
    return this.route.send({
      method,
      params: { ...params, taskId: upstreamId },
      totalMs,
      capabilities: {},
      tasks: true,
    });
  }
}

/**
 * Sends a request about a task to the instance that has it. At a modern server over HTTP, any process behind its URL can answer, so that the
 * request may go to a later instance. Throws `unknown_task` where the instance is gone.
 */
export function sendToTask(
  upstream: Upstream,
  { task, request, caller }: { task: TaskRef; request: ConnectionRequest; caller: InstanceCaller },
): Promise<UpstreamReply> {
  const canMove =
    task.kind === 'modern' && upstream.config.transport !== 'stdio' && !upstream.tasks.isLive(task.instance);
  return canMove ? upstream.request(request, caller) : upstream.tasks.request(task.instance, request);
}

/** The task of a caller, with requests on the caller's behalf. */
export function taskAt(upstream: Upstream, task: TaskRef, caller: InstanceCaller): UpstreamTask {
  return new UpstreamTask(task, {
    totalMs: upstream.config.timeouts.total,
    send: (request) => sendToTask(upstream, { task, request, caller }),
    takeSlot: (kind) => upstream.tasks.stand(task.instance, caller.principal.id, kind),
  });
}

/** The task that a server made of a call. Throws `upstream_protocol` where its id cannot be used. */
export function taskCreatedBy(upstream: Upstream, answered: UpstreamReply): UpstreamTask {
  const { instance } = answered.connection;
  return new UpstreamTask(identityOf(upstream.config.name, createdIn(answered)), {
    totalMs: upstream.config.timeouts.total,
    send: (request) => upstream.tasks.request(instance, request),
  });
}

/** The description of the task in the answer to a call: the member `task` of a legacy result, the whole of a modern one. */
export function createdIn({ connection, reply }: UpstreamReply): JsonObject {
  const created = connection.era === 'modern' ? reply.result : reply.result?.task;
  return isObject(created) ? created : {};
}

/** Throws `upstream_protocol` where the id of a new task cannot be used. */
export function identityOf(server: string, task: JsonObject): TaskIdentity {
  const upstreamId = taskIdOf(task);
  if (upstreamId !== undefined) return { upstreamId, createdAt: createdAtOf(task) };
  throw new GatewayError('upstream_protocol', `The server "${server}" made a task without an id that can be used.`);
}

/** Whether a description is that of the task, by its id and its time of creation. Without a known time the id alone decides. */
export function isSame({ upstreamId, createdAt }: TaskIdentity, described: JsonObject): boolean {
  if (described.taskId !== upstreamId) return false;
  return createdAt === undefined || createdAtOf(described) === createdAt.slice(0, BOUNDS.taskTime);
}

/** Whether a server has forgotten a task, or never knew it (tasks extension, Protocol Errors). */
export function isUnknown({ error }: { readonly error?: RpcError | undefined }): boolean {
  return error?.code === ERRORS.unknown_task.jsonRpc;
}

/** Whether a request failed because the server has another task under the id, or the instance is gone. */
export function isLoss(failure: unknown): boolean {
  return failure instanceof GatewayError && failure.code === 'unknown_task';
}

/** Whether the task may still run though a request about it failed. */
export function isTransient(failure: unknown): boolean {
  return failure instanceof GatewayError && TRANSIENT.has(failure.code);
}

function createdAtOf({ createdAt }: JsonObject): string | undefined {
  return typeof createdAt === 'string' ? createdAt.slice(0, BOUNDS.taskTime) : undefined;
}

function pollMsOf(pollInterval: unknown): number {
  const wanted = numberOf(pollInterval) ?? BOUNDS.slotlessPollDefault;
  return Math.min(Math.max(wanted, BOUNDS.slotlessPollLeast), BOUNDS.slotlessPollMost);
}
