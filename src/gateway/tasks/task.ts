// The state machine of a task that the gateway keeps, at a legacy server, for clients of both eras (wire.md, Tasks).
import type { McpCall, TaskRef } from '../../core/call.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import type { Reply } from '../../core/reply.ts';
import { isTerminal, keptTask } from '../../protocol/mcp/tasks.ts';
import type { Destination } from '../upstream-request.ts';
import { isSame, type UpstreamTask } from './upstream-task.ts';

/**
 * Why the gateway no longer keeps a task: its time is over, another task needs its place or its memory, its instance is gone, its server gave its
 * id to another task, the gateway stops.
 */
export type ForgetReason = 'expired' | 'crowded_out' | 'lost' | 'replaced' | 'stopped';

/** How a task ended. */
export interface TaskEnd {
  /** `completed`, `failed` or `cancelled`, or the reason for which it was forgotten before its end. */
  readonly status: string;
  readonly at: string;
}

/** Called at every change of a task; with the server's notification, where that made the change. */
export type TaskSubscriber = (notification?: JsonObject) => void;

export interface TaskOptions {
  readonly ref: TaskRef;
  readonly principal: Principal;
  readonly upstream: UpstreamTask;
  /** The task as its server described it in the answer that made it. */
  readonly described: JsonObject;
  /** Whether a final status in a notification or in `tasks/get` ends the task; otherwise only `end` does, when its result is known. */
  readonly endsByStatus: boolean;
  /** Called once, with the last status. */
  readonly onEnded: (status: string) => void;
}

/**
 * `working` or `input_required`, then `completed`, `failed` or `cancelled`, which are final. A task can be forgotten in any state. Its state
 * changes through `notified` (a notification of the server), `accept` (an answer), `end` (the outcome) and `forget`. Subscribers get the changes of `notified` and `end`.
 */
export class Task {
  readonly ref: TaskRef;
  readonly principal: Principal;
  readonly upstream: UpstreamTask;
  /** Aborted when the task is forgotten. */
  readonly closed = new Cancellation();
  /** The task as its server last described it, in the format of 2025-11-25. */
  described: JsonObject;
  /** Undefined until the final status is known. */
  ended: TaskEnd | undefined;
  /** Undefined while the gateway keeps the task. */
  forgotten: ForgetReason | undefined;
  private readonly options: Pick<TaskOptions, 'endsByStatus' | 'onEnded'>;
  private readonly subscribers = new Set<TaskSubscriber>();

  constructor({ ref, principal, upstream, described, ...options }: TaskOptions) {
    this.ref = ref;
    this.principal = principal;
    this.upstream = upstream;
    this.options = options;
    this.described = keptTask(described);
  }

  /** Takes the state from an answer of the server. Returns false, and changes nothing, where it describes another task, or this one has ended. */
  accept(described: JsonObject): boolean {
    const whole = { ...this.described, statusMessage: undefined, ...described };
    if (this.ended || !isSame(this.ref, whole)) return false;
    this.described = keptTask(whole);
    const { status } = this.described;
    if (this.options.endsByStatus && typeof status === 'string' && isTerminal(status)) this.end(status);
    return true;
  }

  /** Takes the state from a notification of the server, and publishes it. */
  notified(notification: JsonObject): void {
    if (this.accept(notification)) this.publish(notification);
  }

  /** Sets the final status. Only the first call has an effect. */
  end(status: string): void {
    if (this.ended) return;
    this.ended = { status, at: new Date().toISOString() };
    this.options.onEnded(status);
    this.publish();
  }

  /** Ends all waits for the task, and cancels it at its server unless it has ended or is gone there. Resolves when that is done. Never throws. */
  async forget(reason: ForgetReason): Promise<void> {
    this.subscribers.clear();
    this.forgotten = reason;
    const isRunning = !this.ended && reason !== 'lost' && reason !== 'replaced';
    const cancelled = isRunning ? this.upstream.cancel() : undefined;
    this.closed.abort();
    this.end(reason);
    await cancelled;
  }

  /** Returns how to unsubscribe. */
  subscribe(subscriber: TaskSubscriber): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  /** Calls the subscribers: something that they present has changed. */
  publish(notification?: JsonObject): void {
    for (const subscriber of this.subscribers) subscriber(notification);
  }
}

/** Presents a kept task in the dialect of its caller, and finds the client that answers its questions. */
export interface TaskPresenter {
  readonly task: Task;
  /** Whether the task is kept when its instance is gone. */
  readonly outlivesInstance: boolean;
  /** The entry of `tasks/list`; absent for callers that have no such method. */
  readonly listed?: JsonObject;
  /** The size of its kept questions and result in memory. */
  readonly bytes: number;
  /** The handle that the call gets as its result; `result` is the server's answer to the call. */
  handle(result: JsonObject): JsonObject;
  /** Answers a `tasks/*` call about the task. Throws GatewayError. */
  answer(call: McpCall, to: Destination): Promise<Reply>;
  /** The exchange of the client that answers a question of the task; may wait for one. Undefined where no client will answer. */
  asker(signal: CancelSignal): Promise<Exchange | undefined>;
}
