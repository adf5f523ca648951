// A task of a legacy server for a legacy client: passed on as it is, under the id that the client knows (wire.md, Tasks).
import { setTimeout as delay } from 'node:timers/promises';
import { withoutProtocolMeta } from '../../protocol/mcp/meta.ts';
import { Cancellation, type CancelSignal } from '../../core/cancellation.ts';
import type { McpCall, TaskRef } from '../../core/call.ts';
import { GatewayError, unknownTask } from '../../core/errors.ts';
import { type ClientSession, type Exchange, ownExchange, relayed } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Principal } from '../../core/principal.ts';
import { isTerminal, keptTask, withRelatedTask } from '../../protocol/mcp/tasks.ts';
import { isSame } from './upstream-task.ts';
import type { UpstreamReply } from '../../upstream/mcp/upstream.ts';
import { SharedRequest } from './shared-request.ts';
import type { Forgotten, KeptTask } from './task-registry.ts';

/** How often it is looked whether the session is there, while a question waits for somebody to ask, in ms. */
const LOOK_AGAIN_MS = 1_000;

export interface LegacyTaskOptions {
  readonly ref: TaskRef;
  /** The call that made it. */
  readonly call: Pick<McpCall, 'principal' | 'session' | 'exchange'>;
  /** As the server described it. */
  readonly task: JsonObject;
  /** Asks the server to end it. Never throws. */
  readonly cancel: () => Promise<void>;
  /** It has ended; told once, with its last status. */
  readonly ended: (status: string) => void;
}

export class LegacyTask implements KeptTask {
  readonly ref: TaskRef;
  readonly principal: Principal;
  /** What it ended with is at its server only. */
  readonly outlivesInstance = false;
  readonly bytes = 0;
  /** By which its caller knows its progress, as long as it runs (2025-11-25 basic/utilities/tasks, Task Progress Notifications). */
  readonly progressToken: Exchange['progressToken'];
  /** The wait for it at the server, of all who wait for it here. */
  readonly end = new SharedRequest<UpstreamReply>();
  /** The session that made it, as long as that lives: a task may outlive it by a day. */
  private session: ClientSession | undefined;
  private readonly leaveSession: (() => void) | undefined;
  private readonly onEnd: (status: string) => void;
  private task: JsonObject;
  private readonly waiting = new Set<Exchange>();
  private readonly closing = new Cancellation();
  private readonly cancelAtServer: () => Promise<void>;
  private arrival = Promise.withResolvers<void>();
  private over = false;
  private forgotten: Forgotten | undefined;

  /** Keeps nothing of the call but what outlives it. */
  constructor({ ref, call, task, ended, cancel }: LegacyTaskOptions) {
    this.ref = ref;
    this.principal = call.principal;
    this.session = call.session;
    this.leaveSession = call.session?.standing.signal.onAbort(() => (this.session = undefined));
    this.progressToken = call.exchange.progressToken;
    this.onEnd = ended;
    this.cancelAtServer = cancel;
    this.task = { ...keptTask(task), taskId: ref.id };
  }

  get ended(): boolean {
    return this.over;
  }

  /** As its server last described it, for `tasks/list`. */
  get described(): JsonObject {
    return this.task;
  }

  /** Takes what the server says of it; returns that as the client knows it. */
  record(task: JsonObject): JsonObject {
    const own = { ...withoutProtocolMeta(task), taskId: this.ref.id };
    if (this.over) return own;
    this.task = { ...keptTask(task), taskId: this.ref.id };
    if (typeof task.status === 'string' && isTerminal(task.status)) this.finish(task.status);
    return own;
  }

  /** Its server gave what it ended with. */
  recordResult({ isError }: JsonObject): void {
    this.record({ ...this.task, status: isError === true ? 'failed' : 'completed' });
  }

  /** The session that made it hears of it (2025-11-25 basic/utilities/tasks, Task Status Notification). */
  changed(task: JsonObject): void {
    if (this.over || !isSame(this.ref, task)) return;
    const noted = this.record(task);
    this.session?.standing.notify('notifications/tasks/status', noted);
  }

  /** Somebody waits for its end, and can be asked and told meanwhile. Returns the way to leave. */
  attach(exchange: Exchange): () => void {
    this.waiting.add(exchange);
    this.arrival.resolve();
    this.arrival = Promise.withResolvers();
    return () => this.waiting.delete(exchange);
  }

  /** Everybody who waits for its end, as one who is told; asked are those whom `asker` finds. */
  exchangeOfAll(signal: CancelSignal): Exchange {
    return {
      ...ownExchange(signal),
      progress: (params) => {
        for (const exchange of this.waiting) exchangeOfTask(exchange, this).progress(params);
      },
      log: (params) => {
        for (const exchange of this.waiting) exchange.log(params);
      },
    };
  }

  /** Whoever waits for the end is asked, else the session that made it; where neither is there, whoever comes first. */
  async asker(signal: CancelSignal): Promise<Exchange | undefined> {
    while (!this.over && !signal.aborted) {
      const latest = [...this.waiting].at(-1) ?? (this.session?.reachable ? this.session.standing : undefined);
      if (latest && !latest.signal.aborted) return exchangeOfTask(latest, this);
      await Promise.race([this.arrival.promise, delay(LOOK_AGAIN_MS, undefined, { ref: false })]);
    }
    return undefined;
  }

  /** Aborted when it is forgotten. */
  get closed(): CancelSignal {
    return this.closing;
  }

  /** Why nobody can wait for its end any more; undefined while it is kept. */
  get whyClosed(): GatewayError | undefined {
    const { forgotten, ref } = this;
    if (forgotten === undefined) return undefined;
    if (forgotten === 'stopped')
      return new GatewayError('gateway_closed', 'The gateway is stopping, and the task is cancelled.');
    if (forgotten !== 'lost') return unknownTask();
    return new GatewayError(
      'upstream_closed',
      `The server "${ref.target.server}" went away while it worked on the task.`,
    );
  }

  async close(why: Forgotten): Promise<void> {
    this.forgotten = why;
    this.leaveSession?.();
    this.session = undefined;
    this.closing.abort();
    if (this.over) return;
    const cancelled = why === 'lost' || why === 'replaced' ? undefined : this.cancelAtServer();
    this.finish(why);
    await cancelled;
  }

  private finish(status: string): void {
    this.over = true;
    this.onEnd(status);
  }
}

/** A caller who waits for the end of a task: what is asked and told meanwhile is the task's, its progress by the token of the first call. */
function exchangeOfTask(exchange: Exchange, { ref, progressToken }: LegacyTask): Exchange {
  return relayed(exchange, {
    wantsProgress: false,
    progress: (params) => {
      if (progressToken === undefined) return;
      exchange.notify('notifications/progress', withRelatedTask({ ...params, progressToken }, ref.id));
    },
    ask: (question) => exchange.ask({ ...question, task: ref.id }),
  });
}
