// Tool calls that become tasks, as the rest of the gateway uses them: make tasks, answer `tasks/*`, subscribe to tasks (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { type McpCall, serverOf, type TaskRef } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { type Exchange, relayed } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Reply } from '../../core/reply.ts';
import { declaresTasks, TASKS_CAPABILITY } from '../../protocol/mcp/capabilities.ts';
import type { Keyring } from '../../storage/keyring.ts';
import type { DispatchParts } from '../dispatch.ts';
import type { EventLog } from '../event-log.ts';
import type { McpContext } from '../resolve.ts';
import type { Destination } from '../upstream-request.ts';
import { type Created, LegacyTasks } from './legacy-tasks.ts';
import { answerModern, presentHandle } from './modern-presenter.ts';
import { TaskIds } from './task-ids.ts';
import { keptMs, TaskRegistry } from './task-registry.ts';
import { SubscribedTasks } from './subscribed-tasks.ts';
import { TaskSubscriptions } from './task-subscriptions.ts';
import { createdIn, isUnknown, taskAt } from './upstream-task.ts';

export interface TasksOptions {
  readonly keyring: Keyring;
  readonly events: EventLog;
  /** Aborted when the gateway stops. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
}

export class Tasks {
  readonly ids: TaskIds;
  /** The tasks that the gateway keeps; servers report changes of them to it. */
  readonly registry: TaskRegistry;
  /** Makes tasks at legacy servers. */
  readonly legacy: LegacyTasks;
  readonly subscriptions = new TaskSubscriptions();
  private readonly ending: CancelSignal;

  constructor({ keyring, events, stopping, ending }: TasksOptions) {
    this.ids = new TaskIds(keyring);
    this.registry = new TaskRegistry(stopping);
    this.legacy = new LegacyTasks(this, events);
    this.ending = ending;
  }

  /**
   * Calls `run` with an exchange whose signal is aborted when the caller cancels or the gateway stops; the gateway then waits for `run` before
   * it stops the servers. For work that has no open request at a server. Throws what `run` throws.
   */
  async abortable<T>(exchange: Exchange, run: (exchange: Exchange) => Promise<T>): Promise<T> {
    const cancellation = new Cancellation();
    const running = run(relayed(exchange, { signal: cancellation }));
    const end = () => {
      cancellation.abort();
      this.registry.cancellations.track(running).catch(() => undefined); // the caller gets the failure below
    };
    const stopListening = [exchange.signal.onAbort(() => cancellation.abort()), this.ending.onAbort(end)];
    try {
      return await running;
    } finally {
      for (const stop of stopListening) stop();
    }
  }

  /** Answers a `tasks/*` call. Throws GatewayError: `unknown_task` where the id names no task of the caller. */
  async answer(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
    requireTasks(call);
    if (call.method === 'tasks/list') return { kind: 'result', result: this.list(call, ctx) };
    const { task } = ctx;
    const upstream = task && parts.upstreams.get(task.target.server);
    if (!task || !upstream || (call.era === 'legacy') !== (task.kind === 'legacy')) throw unknownTask();
    const to = { target: task.target, upstream, traits: ctx.route.traits, ctx };
    return this.present(call, to, task);
  }

  /** The handle of a modern server's task for a modern client. Throws `upstream_protocol` where the task has no usable id. */
  pass(created: Created): JsonObject {
    const { to, answered } = created;
    const result = createdIn(answered);
    const ref = this.ids.nameNew('modern', created);
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
    return new SubscribedTasks(call, refs, parts);
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
    const server = serverOf(endpoint);
    const shown = this.registry
      .of(principal)
      .filter(({ task: { ref } }) => server === undefined || server === ref.target.server)
      .filter(({ task: { ref } }) => rules.policy.permits(ref.target));
    return { tasks: shown.map(({ listed }) => listed).filter((listed) => listed !== undefined) };
  }
}

/** Throws `capability_required` where a modern client declares no support for tasks (tasks extension, Protocol Errors). */
function requireTasks({ era, exchange }: McpCall): void {
  if (era === 'legacy' || declaresTasks(exchange.capabilities)) return;
  throw new GatewayError('capability_required', 'The client declares no support for tasks.', {
    data: { requiredCapabilities: TASKS_CAPABILITY },
  });
}
