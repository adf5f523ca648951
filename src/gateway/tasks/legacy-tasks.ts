// Makes tasks of calls at legacy servers: kept for callers that poll, run to the end in the place of callers that do not (wire.md, Tasks).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { Cancellation, untilCancelled, withDeadline } from '../../core/cancellation.ts';
import { type Exchange, relayed } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { CallClock } from '../../upstream/mcp/wire/pending.ts';
import type { EventLog } from '../event-log.ts';
import { type Destination, isLegacyTask, send, type Sent } from '../upstream-request.ts';
import { BridgedPresenter } from './bridged-presenter.ts';
import { LegacyPresenter } from './legacy-presenter.ts';
import { askHeld } from './modern-run.ts';
import { Task } from './task.ts';
import { keptMs, type TaskReservation } from './task-registry.ts';
import type { Tasks } from './tasks.ts';
import { createdIn, taskAt, taskCreatedBy } from './upstream-task.ts';

/** The params and the exchange of a call at its server. */
export type TaskCall = Required<Pick<Sent, 'params' | 'exchange'>>;

/** A call, and the answer of its server that makes a task of it. */
export interface Created {
  readonly call: McpCall;
  readonly to: Destination;
  readonly answered: UpstreamReply;
}

export class LegacyTasks {
  private readonly tasks: Tasks;
  private readonly events: EventLog;

  constructor(tasks: Tasks, events: EventLog) {
    this.tasks = tasks;
    this.events = events;
  }

  /** Makes a task of a call, for a caller that polls it. There is no `handle` where the server answered at once. Throws GatewayError. */
  async start(call: McpCall, to: Destination, { params, exchange }: TaskCall) {
    const reservation = this.tasks.registry.reserve(call.principal);
    try {
      const asked = call.era === 'modern' ? asTask(params) : params;
      const answered = await this.tasks.abortable(exchange, (open) =>
        this.create(call, to, { params: asked, exchange: open }),
      );
      return isLegacyTask(answered)
        ? { answered, handle: this.keep({ call, to, answered }, reservation) }
        : { answered };
    } finally {
      reservation.release();
    }
  }

  /** Makes a task of a call, and resolves with its result, for a caller that does not poll. Throws GatewayError, and then cancels the task. */
  run(call: McpCall, to: Destination, { params, exchange }: TaskCall): Promise<UpstreamReply> {
    return this.tasks.abortable(exchange, async (open) => {
      const answered = await this.create(call, to, { params: asTask(params), exchange: open });
      if (!isLegacyTask(answered)) return answered;
      const task = taskCreatedBy(to.upstream, answered);
      const clock = new CallClock(task.totalMs, BOUNDS.callDuration);
      const principal = call.principal.id;
      try {
        return await task.result({ exchange: timed(open, clock), principal, leftMs: () => clock.leftMs });
      } catch (failure) {
        void this.tasks.registry.cancellations.track(task.cancel());
        throw failure;
      }
    });
  }

  /**
   * Sends a call that a legacy server is to make a task of. Where the caller cancels meanwhile, the gateway cancels the task as soon as it has
   * the task's id. Throws GatewayError.
   */
  private async create(call: McpCall, to: Destination, { params, exchange }: TaskCall): Promise<UpstreamReply> {
    const givenUp = new Cancellation();
    const creating = send(call, to, { params, exchange: relayed(exchange, { signal: givenUp }) });
    const stopListening = exchange.signal.onAbort(() => {
      const cancelling = withDeadline(creating, BOUNDS.cancelledTaskNaming, () => givenUp.abort())
        .then((answered) => (isLegacyTask(answered) ? taskCreatedBy(to.upstream, answered).cancel() : undefined))
        .catch(() => undefined); // the server made no task, or did not name it in time
      void this.tasks.registry.cancellations.track(cancelling);
    });
    try {
      return await untilCancelled(creating, exchange.signal);
    } finally {
      stopListening();
    }
  }

  /** Keeps the task that the server made. Returns the handle for the caller. Throws GatewayError. */
  private keep(created: Created, reservation: TaskReservation): JsonObject {
    const { call, to, answered } = created;
    const { principal } = call;
    const { capabilities } = call.exchange;
    const isBridged = call.era === 'modern';
    const ref = this.tasks.ids.nameNew(isBridged ? 'bridged' : 'legacy', created);
    const described = createdIn(answered);
    const task = new Task({
      ref,
      principal,
      // the task outlives its call: the signal of the call must not cancel requests about the task
      upstream: taskAt(to.upstream, ref, {
        principal,
        era: call.era,
        exchange: { capabilities, signal: new Cancellation() },
      }),
      described,
      endsByStatus: !isBridged,
      onEnded: this.endOf(call, to, ref.instance),
    });
    const ttlMs = keptMs(described.ttl);
    const admits = () => this.tasks.registry.trim(principal);
    const presenter = isBridged
      ? new BridgedPresenter(task, { capabilities, ttlMs, admits })
      : new LegacyPresenter(task, call);
    reservation.keep(presenter, ttlMs);
    return presenter.handle(answered.reply.result ?? {});
  }

  /** What happens at the end of a kept task: its instance is released, and an event records the status. Does not retain the call. */
  private endOf({ id, principal }: McpCall, { target, upstream }: Destination, instance: string) {
    const { server, exposed } = target;
    const release = upstream.tasks.hold(instance);
    return (status: string) => {
      release();
      this.tasks.registry.trim(principal);
      this.events.record('task_ended', { call: id, principal: principal.id, server, instance, exposed, status });
    };
  }
}

/** The params of a call with which the gateway asks a legacy server for a task. */
function asTask(params: JsonObject): JsonObject {
  return { ...params, task: { ttl: BOUNDS.requestedTaskAge } };
}

/** An exchange that extends the clock with each progress, and holds it while a question is open: one clock for all requests about the task. */
function timed(exchange: Exchange, clock: CallClock): Exchange {
  return relayed(exchange, {
    progress: (params) => {
      clock.extend();
      exchange.progress(params);
    },
    ask: (question) => askHeld(clock, () => exchange.ask(question)),
  });
}
