// A task that the gateway keeps, at a legacy server: one state machine, whoever its caller is (wire.md, Tasks).
import type { TaskRef } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import type { Reply } from '../../core/reply.ts';
import type { Call } from '../../core/call.ts';
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
 * `working` and `input_required` until one of `completed`, `failed` and `cancelled`, which is final; or forgotten, in any state. News comes in
 * by `notified` and `accept` (what the server says), `end` (what came of it) and `forget`; it goes out to the subscribers.
 */
export class Task {
  readonly ref: TaskRef;
  readonly principal: Principal;
  readonly upstream: UpstreamTask;
  /** Aborted when the task is forgotten. */
  readonly closed = new Cancellation();
  private readonly options: Pick<TaskOptions, 'endsByStatus' | 'onEnded'>;
  private readonly subscribers = new Set<TaskSubscriber>();
  private latest: JsonObject;
  private last: TaskEnd | undefined;
  private reason: ForgetReason | undefined;

  constructor({ ref, principal, upstream, described, endsByStatus, onEnded }: TaskOptions) {
    this.ref = ref;
    this.principal = principal;
    this.upstream = upstream;
    this.options = { endsByStatus, onEnded };
    this.latest = keptTask(described);
  }

  /** As its server last described it, in the words of 2025-11-25. */
  get described(): JsonObject {
    return this.latest;
  }

  /** Undefined while it goes on. */
  get ended(): TaskEnd | undefined {
    return this.last;
  }

  /** Undefined while it is kept. */
  get forgotten(): ForgetReason | undefined {
    return this.reason;
  }

  /** Takes what the server answers about the task. What is of another task, or comes after the end, changes nothing: then returns false. */
  accept(described: JsonObject): boolean {
    const whole = { ...this.latest, statusMessage: undefined, ...described };
    if (this.last || !isSame(this.ref, whole)) return false;
    this.latest = keptTask(whole);
    const { status } = this.latest;
    if (this.options.endsByStatus && typeof status === 'string' && isTerminal(status)) this.end(status);
    return true;
  }

  /** Takes a notification of the server. */
  notified(news: JsonObject): void {
    if (this.accept(news)) this.publish(news);
  }

  /** Its final status is known. Only the first call has an effect. */
  end(status: string): void {
    if (this.last) return;
    this.last = { status, at: new Date().toISOString() };
    this.options.onEnded(status);
    this.publish();
  }

  /** Whoever waits for it is cancelled, and so is the task where it goes on. Resolves when its server has answered. Never throws. */
  async forget(reason: ForgetReason): Promise<void> {
    this.subscribers.clear();
    this.reason = reason;
    const goesOn = !this.last && reason !== 'lost' && reason !== 'replaced';
    const cancelled = goesOn ? this.upstream.cancel() : undefined;
    this.closed.abort();
    this.end(reason);
    await cancelled;
  }

  /** Returns how to unsubscribe. */
  subscribe(subscriber: TaskSubscriber): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  /** Something that is shown of it changed. */
  publish(news?: JsonObject): void {
    for (const subscriber of this.subscribers) subscriber(news);
  }
}

/** Shows a kept task in the dialect of its caller, and has its caller answer what it asks. */
export interface TaskPresenter {
  readonly task: Task;
  /** Whether there is something to show when the instance is gone. */
  readonly outlivesInstance: boolean;
  /** What its questions and its result take in memory here. */
  readonly bytes: number;
  /** What the caller gets in the place of an answer; `result` is the server's answer to the call. */
  handle(result: JsonObject): JsonObject;
  /** Answers a `tasks/*` call about the task. Throws GatewayError. */
  answer(call: Call, to: Destination): Promise<Reply>;
  /** Who answers a question of the task, now or when somebody comes; undefined where nobody will. */
  asker(signal: CancelSignal): Promise<Exchange | undefined>;
}
