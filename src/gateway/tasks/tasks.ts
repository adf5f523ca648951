// Tool calls that become tasks: all that the rest of the gateway needs of them (wire.md, Tasks).
import { type McpCall, serverOf, type TaskRef } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { declaresTasks, TASKS_CAPABILITY } from '../../protocol/mcp/tasks.ts';
import type { Keyring } from '../../storage/keyring.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { abortOnShutdown, type ShutdownOptions } from '../abort-on-shutdown.ts';
import type { DispatchParts } from '../dispatch-parts.ts';
import type { McpContext } from '../resolve.ts';
import type { Destination } from '../upstream-request.ts';
import { BridgedPresenter } from './bridged-presenter.ts';
import { LegacyPresenter } from './legacy-presenter.ts';
import { answerModern, presentHandle } from './modern-presenter.ts';
import { createTask, type RunModernOptions, runLegacyTask, runModernTask, type TaskCall } from './run-to-end.ts';
import { Task } from './task.ts';
import { TaskIds } from './task-ids.ts';
import { keptMs, TaskRegistry, type TaskReservation } from './task-registry.ts';
import { SubscribedTasks, TaskSubscriptions } from './task-subscriptions.ts';
import { createdIn, identityOf, isLegacyTask, isUnknown, taskAt } from './upstream-task.ts';

/** How long a legacy server is asked to keep a task, in ms. */
const TTL_MS = 60 * 60_000;

/** Most tasks that one listener may subscribe to. */
const MAX_SUBSCRIBED = 100;

export interface TasksOptions {
  readonly keyring: Keyring;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and waits no longer. */
  readonly ending: CancelSignal;
  /** Something for the record. */
  readonly record: (event: string, detail: JsonObject) => void;
}

/** What came of a call at its server. */
interface Created {
  readonly call: McpCall;
  readonly to: Destination;
  readonly answered: UpstreamReply;
}

export class Tasks {
  readonly ids: TaskIds;
  /** Receives what servers say of the tasks that the gateway keeps. */
  readonly registry: TaskRegistry;
  private readonly subscriptions = new TaskSubscriptions();
  private readonly options: TasksOptions;

  constructor(options: TasksOptions) {
    this.options = options;
    this.ids = new TaskIds(options.keyring);
    this.registry = new TaskRegistry(options.stopping);
  }

  /** For `abortOnShutdown`. */
  get shutdown(): ShutdownOptions {
    return { ending: this.options.ending, cancellations: this.registry.cancellations };
  }

  /** Answers a `tasks/*` call. Throws GatewayError: `unknown_task` where its id leads nowhere. */
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

  /** Has a legacy server run a call as a task that its caller then asks about. There is no `handle` where the server answered at once. */
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

  /** Has a legacy server run a call as a task for a caller that does not ask about tasks: resolves with its answer. Throws GatewayError. */
  run(call: McpCall, to: Destination, { params, exchange }: TaskCall): Promise<UpstreamReply> {
    return abortOnShutdown(exchange, this.shutdown, async (open) => {
      const { cancellations } = this.registry;
      const answered = await createTask(call, to, { params: asTask(params), exchange: open, cancellations });
      if (!isLegacyTask(answered)) return answered;
      return runLegacyTask(to.upstream, answered, { exchange: open, principal: call.principal.id, cancellations });
    });
  }

  /** Follows the task that a modern server made of a legacy caller's call: resolves with its answer. Throws GatewayError. */
  runModern({ call, to, answered }: Created, questions: RunModernOptions['questions']): Promise<UpstreamReply> {
    return runModernTask(answered, { call, upstream: to.upstream, questions });
  }

  /** A modern server's task for a modern client, which gets this in the place of an answer. Throws `upstream_protocol` where it has no id. */
  pass(created: Created): JsonObject {
    const { to, answered } = created;
    const result = createdIn(answered);
    const ref = this.nameOf('modern', created);
    // its process keeps running while it works
    to.upstream.tasks.needFor(ref.instance, keptMs(result.ttlMs));
    return presentHandle(ref, result);
  }

  /** The tasks that a listener names and may see. Throws `capability_required` where it does not declare that it knows tasks. */
  subscribe(ids: unknown, call: McpCall, { ctx, parts }: { ctx: McpContext; parts: DispatchParts }): SubscribedTasks {
    const wanted: unknown[] = Array.isArray(ids) ? [...new Set(ids)].slice(0, MAX_SUBSCRIBED) : [];
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
    // a presenter of a bridged task asks its server itself
    if (task.kind !== 'bridged' && call.method !== 'tasks/get') {
      const { reply } = await taskAt(to.upstream, task, call).get();
      // said in our words: the server's name its own id
      if (isUnknown(reply)) throw unknownTask();
      if (reply.error) return { kind: 'error', error: reply.error };
    }
    return presenter ? presenter.answer(call, to) : answerModern(call, to, task);
  }

  /** The tasks that the caller may ask for, from our own records; at most 100, so that there is one page. */
  private list({ params, principal, endpoint }: McpCall, { rules }: McpContext): JsonObject {
    if (params.cursor !== undefined) throw new GatewayError('invalid_params', '`params.cursor` is not one of ours.');
    const own = this.registry.of(principal).filter((presenter) => presenter instanceof LegacyPresenter);
    const shown = own.filter(
      ({ task: { ref } }) =>
        [undefined, ref.target.server].includes(serverOf(endpoint)) && rules.policy.permits(ref.target),
    );
    return { tasks: shown.map(({ listed }) => listed) };
  }

  /** Keeps the task that a legacy server made. Returns what the caller gets in the place of an answer. Throws GatewayError. */
  private keep(created: Created, reservation: TaskReservation): JsonObject {
    const { call, to, answered } = created;
    const { principal } = call;
    const described = createdIn(answered);
    const isBridged = call.era === 'modern';
    const ref = this.nameOf(isBridged ? 'bridged' : 'legacy', created);
    const { capabilities } = call.exchange;
    const task = new Task({
      ref,
      principal,
      // the task outlives its call: nothing that is sent for it is cancelled with the call
      upstream: taskAt(to.upstream, ref, { principal, exchange: { capabilities, signal: new Cancellation() } }),
      described,
      endsByStatus: !isBridged,
      onEnded: this.onEnded(call, ref, to.upstream.tasks.hold(ref.instance)),
    });
    const ttlMs = keptMs(described.ttl);
    const admits = () => this.registry.trim(principal);
    const presenter = isBridged
      ? new BridgedPresenter(task, { capabilities, ttlMs, admits })
      : new LegacyPresenter(task, call);
    reservation.keep(presenter, ttlMs);
    return presenter.handle(answered.reply.result ?? {});
  }

  /** The one place where a kept task ends: its instance is released, and the record says how it ended. Holds nothing of the call. */
  private onEnded({ id, principal }: McpCall, { target, instance }: TaskRef, release: () => void) {
    const { server, exposed } = target;
    return (status: string): void => {
      release();
      this.registry.trim(principal);
      this.options.record('task_ended', { call: id, principal: principal.id, server, instance, exposed, status });
    };
  }

  private nameOf(kind: TaskRef['kind'], { call, to, answered }: Created): TaskRef {
    const { target } = to;
    const identity = identityOf(target.server, createdIn(answered));
    return this.ids.name(call.principal, { ...identity, kind, instance: answered.connection.instance, target });
  }
}

function asTask(params: JsonObject): JsonObject {
  return { ...params, task: { ttl: TTL_MS } };
}

/** Throws `capability_required` where a modern client asks about tasks and does not say that it knows them (tasks extension, Protocol Errors). */
function requireTasks({ era, exchange }: McpCall): void {
  if (era === 'legacy' || declaresTasks(exchange.capabilities)) return;
  throw new GatewayError('capability_required', 'The client declares no support for tasks.', {
    data: { requiredCapabilities: TASKS_CAPABILITY },
  });
}
