// Tool calls that become tasks: who follows the task, and what their caller is told of it (wire.md, Tasks).
import type { McpCall, TaskRef } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { TASK_RESULT, taskIdOf } from '../../protocol/mcp/tasks.ts';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import type { Keyring } from '../../storage/keyring.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { Destination } from '../upstream-request.ts';
import { cancelAtServer, createdAtOf, taskAt } from './upstream-task.ts';
import { BridgedTask } from './bridged-task.ts';
import { LegacyTask } from './legacy-task.ts';
import { TaskIds } from './task-ids.ts';
import { TaskSubscriptions } from './task-subscriptions.ts';
import { keptMs, type KeptTask, type TaskPlace, TaskRegistry } from './task-registry.ts';

/** How long a legacy server is asked to keep a task of ours, in ms. */
const TTL_MS = 60 * 60_000;

export interface TasksOptions {
  readonly keyring: Keyring;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  /** Something for the record. */
  readonly record: (event: string, detail: JsonObject) => void;
}

/** What came of a call at a server, and where it goes. */
interface Created {
  readonly call: McpCall;
  readonly to: Destination;
  readonly answered: UpstreamReply;
}

export class Tasks {
  readonly ids: TaskIds;
  readonly records: TaskRegistry;
  readonly listens = new TaskSubscriptions();
  private readonly options: TasksOptions;

  constructor(options: TasksOptions) {
    this.options = options;
    this.ids = new TaskIds(options.keyring);
    this.records = new TaskRegistry(options.stopping);
  }

  /** A modern server's task, under an id of ours: nothing of it is kept here. Throws `upstream_protocol` where it is none. */
  pass({ call, to, answered }: Created): JsonObject {
    const result = answered.reply.result ?? {};
    const ref = this.nameOf('modern', { call, to, answered }, result);
    // its process is not at rest while it works
    to.upstream.tasks.needFor(ref.instance, keptMs(result.ttlMs));
    // what it asks is asked where it is polled: a new task asks nothing (tasks extension, Task Creation)
    const { inputRequests: _asked, ...created } = withoutProtocolMeta(result);
    return { ...created, taskId: ref.id };
  }

  /** A legacy server's task for a modern client: what the client gets in the place of the answer. Throws GatewayError. */
  bridge(created: Created, place: TaskPlace): JsonObject {
    const { call, to, answered } = created;
    const task = taskOf(created);
    const ref = this.nameOf('bridged', created, task);
    const { principal, session } = call;
    // the task outlives its call: nobody's leaving ends what is sent for it
    const exchange = { capabilities: call.exchange.capabilities, signal: new Cancellation() };
    const caller = { principal, exchange, ...(session && { session }) };
    const letGo = to.upstream.tasks.hold(ref.instance);
    const ttlMs = keptMs(task.ttl);
    const kept = new BridgedTask({
      ref,
      ttlMs,
      caller,
      task,
      at: taskAt(to.upstream, ref, caller),
      place: (kind) => to.upstream.tasks.stand(ref.instance, principal.id, kind),
      admits: () => this.records.trim(principal),
      ended: this.atEnd(call, ref, letGo),
    });
    place.keep(kept, ttlMs);
    const { inputRequests: _asked, ...seed } = kept.described();
    return {
      ...withoutProtocolMeta({ _meta: answered.reply.result?._meta }),
      ...seed,
      resultType: TASK_RESULT,
      status: 'working',
    };
  }

  /** A legacy server's task for a legacy client: the server's answer with an id of ours. Throws GatewayError. */
  keep(created: Created, place: TaskPlace): JsonObject {
    const { call, to, answered } = created;
    const task = taskOf(created);
    const ref = this.nameOf('legacy', created, task);
    const letGo = to.upstream.tasks.hold(ref.instance);
    const at = taskAt(to.upstream, ref, call);
    const kept = new LegacyTask({
      ref,
      call,
      task,
      ended: this.atEnd(call, ref, letGo),
      cancel: () => cancelAtServer(at),
    });
    place.keep(kept, keptMs(task.ttl));
    return { ...answered.reply.result, task: kept.record(task) };
  }

  /** The task of a call, if it is kept and of the kind that the call's side knows. */
  bridged(ref: TaskRef): BridgedTask | undefined {
    return kindOf(BridgedTask, this.records.get(ref));
  }

  /** The same for a legacy client. */
  kept(ref: TaskRef): LegacyTask | undefined {
    return kindOf(LegacyTask, this.records.get(ref));
  }

  private nameOf(kind: TaskRef['kind'], { call, to, answered }: Created, task: JsonObject): TaskRef {
    const upstreamId = taskIdOf(task);
    if (upstreamId === undefined)
      throw new GatewayError(
        'upstream_protocol',
        `The server "${to.target.server}" made a task without an id that can be used.`,
      );
    return this.ids.name(call.principal, {
      kind,
      upstreamId,
      instance: answered.connection.instance,
      createdAt: createdAtOf(task),
      target: to.target,
    });
  }

  /** What happens at the end of a task; keeps nothing of its call. */
  private atEnd(
    { id, principal }: McpCall,
    { target, instance }: TaskRef,
    letGo: () => void,
  ): (status: string) => void {
    const { server, exposed } = target;
    return (status) => {
      letGo();
      this.records.trim(principal);
      this.options.record('task_ended', { call: id, principal: principal.id, server, instance, exposed, status });
    };
  }
}

/** The params of a call that is to run as a task of ours. */
export function asTask(params: JsonObject): JsonObject {
  return { ...params, task: { ttl: TTL_MS } };
}

/** Whether a legacy server made a task of a call. */
export function isLegacyTask({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'legacy' && isObject(reply.result?.task);
}

/** Whether a modern server did. */
export function isModernTask({ connection, reply }: UpstreamReply): boolean {
  return connection.era === 'modern' && reply.result?.resultType === TASK_RESULT;
}

function taskOf({ answered }: Created): JsonObject {
  const task = answered.reply.result?.task;
  return isObject(task) ? task : {};
}

function kindOf<T extends KeptTask>(kind: new (...args: never[]) => T, task: KeptTask | undefined): T | undefined {
  return task instanceof kind ? task : undefined;
}
