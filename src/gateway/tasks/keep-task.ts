// Keeps the task that a legacy server made of a call, with the presenter for its caller (wire.md, Tasks).
import type { McpCall, TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import type { Destination } from '../upstream-request.ts';
import { BridgedPresenter } from './bridged-presenter.ts';
import { LegacyPresenter } from './legacy-presenter.ts';
import { Task } from './task.ts';
import { keptMs, type TaskRegistry, type TaskReservation } from './task-registry.ts';
import { createdIn, taskAt } from './upstream-task.ts';

/** A call, and the answer of its server that makes a task of it. */
export interface Created {
  readonly call: McpCall;
  readonly to: Destination;
  readonly answered: UpstreamReply;
}

export interface KeepOptions {
  readonly registry: TaskRegistry;
  readonly reservation: TaskReservation;
  /** Records an event. */
  readonly record: (event: string, detail: JsonObject) => void;
}

/** Returns the handle that the call gets as its result. Throws GatewayError. */
export function keepTask(created: Created, ref: TaskRef, options: KeepOptions): JsonObject {
  const { call, to, answered } = created;
  const { principal } = call;
  const { capabilities } = call.exchange;
  const { registry, reservation } = options;
  const described = createdIn(answered);
  const isBridged = ref.kind === 'bridged';
  const task = new Task({
    ref,
    principal,
    // the task outlives its call: the signal of the call must not cancel requests about the task
    upstream: taskAt(to.upstream, ref, { principal, exchange: { capabilities, signal: new Cancellation() } }),
    described,
    endsByStatus: !isBridged,
    onEnded: endOf(call, ref, { ...options, release: to.upstream.tasks.hold(ref.instance) }),
  });
  const ttlMs = keptMs(described.ttl);
  const admits = () => registry.trim(principal);
  const presenter = isBridged
    ? new BridgedPresenter(task, { capabilities, ttlMs, admits })
    : new LegacyPresenter(task, call);
  reservation.keep(presenter, ttlMs);
  return presenter.handle(answered.reply.result ?? {});
}

/** What happens at the end of a kept task: its instance is released, and an event records the status. Does not retain the call. */
function endOf(
  { id, principal }: McpCall,
  { target, instance }: TaskRef,
  { registry, record, release }: Pick<KeepOptions, 'registry' | 'record'> & { readonly release: () => void },
): (status: string) => void {
  const { server, exposed } = target;
  return (status) => {
    release();
    registry.trim(principal);
    record('task_ended', { call: id, principal: principal.id, server, instance, exposed, status });
  };
}
