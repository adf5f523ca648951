// A task that the gateway keeps, at a legacy server: one state machine, whoever its caller is (wire.md, Tasks).
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
 * Why the gateway keeps a task no longer: its time is over, another task needs its place, its instance is gone, its server gave its id to
 * another task, the gateway stops.
 */
export type ForgetReason = 'expired' | 'crowded_out' | 'lost' | 'replaced' | 'stopped';

/** How a task ended. */
export interface TaskEnd {
  /** `completed`, `failed` or `cancelled`, or why it was forgotten before its end. */
  readonly status: string;
  readonly at: string;
}

/** Receives every change of a task; `news` is the server's notification, absent where the change comes from elsewhere. */
export type TaskSubscriber = (news?: JsonObject) => void;

export interface TaskOptions {
  readonly ref: TaskRef;
  readonly principal: Principal;
  readonly upstream: UpstreamTask;
  /** As the server described it when it made it. */
  readonly described: JsonObject;
  /** Whether the status of a notification or of `tasks/get` ends the task; else `end` alone does, with its result. */
  readonly endsByStatus: boolean;
  /** Called once, with the last status. */
  readonly onEnded: (status: string) => void;
}

/**
 * `working` or `input_required`, then `completed`, `failed` or `cancelled`, which are final; a task can be forgotten in any state. News comes in
 * through `notified` (the server's notification), `accept` (its answer), `end` (the outcome) and `forget`. It goes out to the subscribers.
 */
export class Task {
  readonly ref: TaskRef;
  readonly principal: Principal;
  readonly upstream: UpstreamTask;
  /** Aborted when the task is forgotten. */
  readonly closed = new Cancellation();
  /** As its server last described it, in the words of 2025-11-25. */
  described: JsonObject;
  /** Undefined until its final status is known. */
  ended: TaskEnd | undefined;
  /** Undefined while it is kept. */
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

  /** Records what the server answers about the task. Returns false, and records nothing, where that is another task, or this one has ended. */
  accept(described: JsonObject): boolean {
    const whole = { ...this.described, statusMessage: undefined, ...described };
    if (this.ended || !isSame(this.ref, whole)) return false;
    this.described = keptTask(whole);
    const { status } = this.described;
    if (this.options.endsByStatus && typeof status === 'string' && isTerminal(status)) this.end(status);
    return true;
  }

  /** The server's notification: recorded as an answer is, and published. */
  notified(news: JsonObject): void {
    if (this.accept(news)) this.publish(news);
  }

  /** Records the final status. Only the first call has an effect. */
  end(status: string): void {
    if (this.ended) return;
    this.ended = { status, at: new Date().toISOString() };
    this.options.onEnded(status);
    this.publish();
  }

  /** Cancels those who wait for it, and at its server the task, unless that has ended or is gone. Resolves when that is done. Never throws. */
  async forget(reason: ForgetReason): Promise<void> {
    this.subscribers.clear();
    this.forgotten = reason;
    const isThere = !this.ended && reason !== 'lost' && reason !== 'replaced';
    const cancelled = isThere ? this.upstream.cancel() : undefined;
    this.closed.abort();
    this.end(reason);
    await cancelled;
  }

  /** Returns how to unsubscribe. */
  subscribe(subscriber: TaskSubscriber): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  /** Something that subscribers can see has changed. */
  publish(news?: JsonObject): void {
    for (const subscriber of this.subscribers) subscriber(news);
  }
}

/** Shows a kept task in the dialect of its caller, and has its caller answer what it asks. */
export interface TaskPresenter {
  readonly task: Task;
  /** Whether there is something to show when the instance is gone. */
  readonly outlivesInstance: boolean;
  /** How much memory its questions and its result use here. */
  readonly bytes: number;
  /** What the caller gets in the place of an answer; `result` is the server's answer to the call. */
  handle(result: JsonObject): JsonObject;
  /** Answers a `tasks/*` call about the task. Throws GatewayError. */
  answer(call: McpCall, to: Destination): Promise<Reply>;
  /** Who answers a question of the task, now or when somebody comes; undefined where nobody will. */
  asker(signal: CancelSignal): Promise<Exchange | undefined>;
}
