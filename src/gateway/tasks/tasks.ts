// Tool calls that become tasks, as the rest of the gateway uses them: start, run to the end, answer `tasks/*`, subscribe (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { type McpCall, serverOf, type TaskRef } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { declaresTasks, TASKS_CAPABILITY } from '../../protocol/mcp/tasks.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { abortOnShutdown, type ShutdownOptions } from '../abort-on-shutdown.ts';
import type { DispatchParts } from '../dispatch.ts';
import type { McpContext } from '../resolve.ts';
import type { Destination } from '../upstream-request.ts';
import { type Created, keepTask } from './keep-task.ts';
import { answerModern, presentHandle } from './modern-presenter.ts';
import {
  asTask,
  createTask,
  type RunModernOptions,
  runLegacyTask,
  runModernTask,
  type TaskCall,
} from './run-to-end.ts';
import type { TaskIds } from './task-ids.ts';
import { keptMs, TaskRegistry, type TaskReservation } from './task-registry.ts';
import { SubscribedTasks, TaskSubscriptions } from './task-subscriptions.ts';
import { createdIn, identityOf, isLegacyTask, isUnknown, taskAt } from './upstream-task.ts';

export interface TasksOptions {
  readonly ids: TaskIds;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
  /** Records an event. */
  readonly record: (event: string, detail: JsonObject) => void;
}

export class Tasks {
  readonly ids: TaskIds;
  /** The tasks that the gateway keeps; servers report changes of them to it. */
  readonly registry: TaskRegistry;
  private readonly subscriptions = new TaskSubscriptions();
  private readonly options: TasksOptions;

  constructor(options: TasksOptions) {
    this.options = options;
    this.ids = options.ids;
    this.registry = new TaskRegistry(options.stopping);
  }

  /** The options of `abortOnShutdown`. */
  get shutdown(): ShutdownOptions {
    return { ending: this.options.ending, cancellations: this.registry.cancellations };
  }

  /** Answers a `tasks/*` call. Throws GatewayError: `unknown_task` where the id names no task of the caller. */
  async answer(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
    requireTasks(call);
    if (call.method === 'tasks/list') return { kind: 'result', result: this.list(call, ctx) };
    const { task } = ctx;
    const upstream = task && parts.upstreams.get(task.target.server);
    if (!task || !upstream || (call.era === 'legacy') !== (task.kind === 'legacy')) throw unknownTask();
    const to = { target: task.target, upstream, traits: ctx.route.traits, ctx };
    const reply = await this.present(call, to, task);
    if (reply.kind !== 'result') return reply;
    const result = call.method === 'tasks/result' ? reply.result : reply.result.result;
    if (isObject(result)) parts.seen.remember(call.principal.id, task.target.server, result);
    return reply;
  }

  /** Makes a task of a call at a legacy server, for a caller that polls it. There is no `handle` where the server answered at once. */
  async start(call: McpCall, to: Destination, { params, exchange }: TaskCall) {
    const reservation = this.registry.reserve(call.principal);
    const { cancellations } = this.registry;
    try {
      const asked = call.era === 'modern' ? asTask(params) : params;
      const answered = await abortOnShutdown(exchange, this.shutdown, (open) =>
        createTask(call, to, { params: asked, exchange: open, cancellations }),
      );
      if (!isLegacyTask(answered)) return { answered };
      return { answered, handle: this.keep({ call, to, answered }, reservation) };
    } finally {
      reservation.release();
    }
  }

  /** Makes a task of a call at a legacy server, and resolves with its result, for a caller that does not poll. Throws GatewayError. */
  run(call: McpCall, to: Destination, { params, exchange }: TaskCall): Promise<UpstreamReply> {
    return abortOnShutdown(exchange, this.shutdown, async (open) => {
      const { cancellations } = this.registry;
      const answered = await createTask(call, to, { params: asTask(params), exchange: open, cancellations });
      if (!isLegacyTask(answered)) return answered;
      return runLegacyTask(to.upstream, answered, { exchange: open, principal: call.principal.id, cancellations });
    });
  }

  /** Polls the task that a modern server made of a legacy client's call, and resolves with its result. Throws GatewayError. */
  runModern({ call, to, answered }: Created, questions: RunModernOptions['questions']): Promise<UpstreamReply> {
    return runModernTask(answered, { call, upstream: to.upstream, questions });
  }

  /** The handle of a modern server's task for a modern client. Throws `upstream_protocol` where the task has no usable id. */
  pass(created: Created): JsonObject {
    const { to, answered } = created;
    const result = createdIn(answered);
    const ref = this.nameOf('modern', created);
    // an idle server is not stopped while it works on a task
    to.upstream.tasks.needFor(ref.instance, keptMs(result.ttlMs));
    return presentHandle(ref, result);
  }

  /** The tasks that a listener names and policy permits. Throws `capability_required` where the client declares no support for tasks. */
  subscribe(ids: unknown, call: McpCall, { ctx, parts }: { ctx: McpContext; parts: DispatchParts }): SubscribedTasks {
    const wanted: unknown[] = Array.isArray(ids) ? [...new Set(ids)].slice(0, BOUNDS.listenerTasks) : [];
    if (Array.isArray(ids)) requireTasks(call);
    const { principal, endpoint } = call;
    const server = serverOf(endpoint);
    const refs = wanted
      .map((id) => (typeof id === 'string' ? this.ids.open(principal, id) : undefined))
      .filter((ref) => ref !== undefined)
      .filter(({ target }) => (server === undefined || server === target.server) && ctx.rules.policy.permits(target));
    const { registry, subscriptions } = this;
    return new SubscribedTasks(call, refs, { registry, subscriptions, ...parts });
  }

  private async present(call: McpCall, to: Destination, task: TaskRef): Promise<Reply> {
    const presenter = task.kind === 'modern' ? undefined : this.registry.get(task);
    if (!presenter && task.kind !== 'modern') throw unknownTask();
    // the presenter of a bridged task checks itself that the server has the task
    if (task.kind !== 'bridged' && call.method !== 'tasks/get') {
      const { reply } = await taskAt(to.upstream, task, call).get();
      // the message of the server would name the server's id of the task
      if (isUnknown(reply)) throw unknownTask();
      if (reply.error) return { kind: 'error', error: reply.error };
    }
    return presenter ? presenter.answer(call, to) : answerModern(call, to, task);
  }

  /** Answers `tasks/list` from the registry. A principal has so few tasks that there is one page. */
  private list({ params, principal, endpoint }: McpCall, { rules }: McpContext): JsonObject {
    if (params.cursor !== undefined) throw new GatewayError('invalid_params', '`params.cursor` is not one of ours.');
    const shown = this.registry
      .of(principal)
      .filter(
        ({ task: { ref } }) =>
          [undefined, ref.target.server].includes(serverOf(endpoint)) && rules.policy.permits(ref.target),
      );
    return { tasks: shown.map(({ listed }) => listed).filter((listed) => listed !== undefined) };
  }

  /** Keeps the task that a legacy server made. Returns the handle for the caller. Throws GatewayError. */
  private keep(created: Created, reservation: TaskReservation): JsonObject {
    const ref = this.nameOf(created.call.era === 'modern' ? 'bridged' : 'legacy', created);
    const { registry } = this;
    return keepTask(created, ref, { registry, reservation, record: this.options.record });
  }

  /** The reference to a new task, with the id that its caller gets. */
  private nameOf(kind: TaskRef['kind'], { call, to, answered }: Created): TaskRef {
    const { target } = to;
    const identity = identityOf(target.server, createdIn(answered));
    return this.ids.name(call.principal, { ...identity, kind, instance: answered.connection.instance, target });
  }
}

/** Throws `capability_required` where a modern client declares no support for tasks (tasks extension, Protocol Errors). */
function requireTasks({ era, exchange }: McpCall): void {
  if (era === 'legacy' || declaresTasks(exchange.capabilities)) return;
  throw new GatewayError('capability_required', 'The client declares no support for tasks.', {
    data: { requiredCapabilities: TASKS_CAPABILITY },
  });
}
