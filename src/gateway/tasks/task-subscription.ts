// What one instance of a modern server tells of a principal's tasks: one listening there, for however many listen here (wire.md, Subscriptions).
import { setTimeout as delay } from 'node:timers/promises';
import { Cancellation, pause } from '../../core/cancellation.ts';
import { GatewayError } from '../../core/errors.ts';
import { ownExchange } from '../../core/exchange.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { WireReply } from '../../upstream/mcp/wire/wire.ts';
import type { ConnectionRequest } from '../../upstream/mcp/connect/connection.ts';

/** How long a server may take to say which tasks it tells of. */
export const ACKNOWLEDGE_MS = 2_000;

/** What is asked for within this time, in ms, is asked for at once. */
const GATHER_MS = 20;

/** The pause before a listening that its server ended is begun again, in ms; doubled each time, up to the most. */
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 60_000;

/** Most tasks of one principal at one instance that are listened to. */
const MAX_TASKS = 1_000;

/** Gets what the server says of a task. */
export type TaskNews = (task: JsonObject) => void;

export interface TaskSubscriptionOptions {
  /** Sends a request to the instance. Throws GatewayError: `unknown_task` where it is gone. */
  readonly send: (request: ConnectionRequest) => Promise<WireReply>;
  /** Takes a place among the requests that may stay open; undefined where none is free. */
  readonly place: () => (() => void) | undefined;
  /** Nobody listens any more. */
  readonly ended: () => void;
}

/** One request that listens, begun again where the server ends it. */
class Stream {
  /** Ids of those that the server agreed to tell of. */
  accepted: ReadonlySet<string> = new Set();
  /** Resolves when the server has agreed to something, or will not. */
  readonly answered = Promise.withResolvers<void>();
  readonly over = new Cancellation();
}

export class TaskSubscription {
  private readonly options: TaskSubscriptionOptions;
  private readonly followed = new Map<string, Set<TaskNews>>();
  private stream: Stream | undefined;
  /** The one that is to take its place, since more is to be asked for; settles when it has. */
  private opening: Promise<void> | undefined;
  private next: Stream | undefined;

  constructor(options: TaskSubscriptionOptions) {
    this.options = options;
  }

  /** Tells `news` of the task that has this id at the server. Resolves with whether the server agrees to tell of it; never throws. */
  async follow(id: string, news: TaskNews): Promise<boolean> {
    const listeners = this.followed.get(id) ?? new Set();
    if (listeners.size === 0 && this.followed.size >= MAX_TASKS) return false;
    this.followed.set(id, listeners.add(news));
    // the one that is on its way may not ask for it
    if (!this.tellsOf(id)) await this.opening;
    if (!this.tellsOf(id)) await (this.opening ??= this.open());
    return this.tellsOf(id);
  }

  /** Tells `news` of the task no longer. */
  leave(id: string, news: TaskNews): void {
    const listeners = this.followed.get(id);
    listeners?.delete(news);
    if (listeners?.size === 0) this.followed.delete(id);
    if (this.followed.size > 0) return;
    this.stream?.over.abort();
    this.next?.over.abort();
    this.options.ended();
  }

  private tellsOf(id: string): boolean {
    return this.stream?.accepted.has(id) === true;
  }

  /** Asks for everything that is followed, on a stream that takes the place of the one before once the server has agreed to it. */
  private async open(): Promise<void> {
    const stream = (this.next = new Stream());
    await delay(GATHER_MS, undefined, { ref: false });
    void this.run(stream);
    await Promise.race([stream.answered.promise, delay(ACKNOWLEDGE_MS, undefined, { ref: false })]);
    this.opening = this.next = undefined;
    // one that agrees to nothing in time is not listened to: whoever asks polls it
    if (stream.accepted.size === 0) stream.over.abort();
    if (stream.over.aborted) return;
    this.stream?.over.abort();
    this.stream = stream;
  }

  /** Listens until nobody wants it, or the server refuses: then it is polled, which any client may (tasks extension, Task Polling). */
  private async run(stream: Stream): Promise<void> {
    const leave = this.options.place();
    let goesOn = leave !== undefined;
    for (let pauseMs = FIRST_PAUSE_MS; goesOn && !stream.over.aborted; pauseMs = Math.min(2 * pauseMs, MOST_PAUSE_MS)) {
      const begun = performance.now();
      goesOn = await this.listen(stream);
      stream.answered.resolve();
      if (performance.now() - begun > MOST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
      if (goesOn) await pause(pauseMs, stream.over).catch(() => undefined); // nobody listens any more
    }
    leave?.();
    stream.answered.resolve();
    if (this.stream === stream) this.stream = undefined;
  }

  /** Listens once. Resolves at the end, with whether there may be another time. */
  private async listen(stream: Stream): Promise<boolean> {
    const request = {
      method: 'subscriptions/listen',
      params: { notifications: { taskIds: [...this.followed.keys()] } },
      totalMs: Infinity,
      capabilities: {},
      tasks: true,
      exchange: ownExchange(stream.over),
      onNotification: (method: string, params: JsonObject) => this.hear(stream, method, params),
    };
    try {
      return (await this.options.send(request)).error === undefined;
    } catch (failure) {
      return !(failure instanceof GatewayError && failure.code === 'unknown_task');
    }
  }

  private hear(stream: Stream, method: string, params: JsonObject): void {
    if (method === 'notifications/subscriptions/acknowledged') {
      stream.accepted = idsIn(params);
      stream.answered.resolve();
    }
    if (method !== 'notifications/tasks' || typeof params.taskId !== 'string') return;
    for (const news of this.followed.get(params.taskId) ?? []) news(params);
  }
}

function idsIn({ notifications }: JsonObject): ReadonlySet<string> {
  const ids = isObject(notifications) && Array.isArray(notifications.taskIds) ? notifications.taskIds : [];
  return new Set(ids.slice(0, MAX_TASKS).filter((id) => typeof id === 'string'));
}
