// A task of a legacy server for a legacy client: passed on as it is, under the id that the client knows (wire.md, Tasks).
import { type Call, type TaskRef } from '../../core/call.ts';
import { type Exchange } from '../../core/exchange.ts';
import { type JsonObject } from '../../core/json.ts';
import { type Principal } from '../../core/principal.ts';
import { isTerminal } from '../../protocol/mcp/tasks.ts';
import { type KeptTask } from './task-records.ts';

export interface LegacyTaskOptions {
  readonly ref: TaskRef;
  /** The call that made it. */
  readonly call: Pick<Call, 'principal' | 'session'>;
  /** As the server described it. */
  readonly task: JsonObject;
  /** It has ended; told once, with its last status. */
  readonly ended: (status: string) => void;
}

export class LegacyTask implements KeptTask {
  readonly ref: TaskRef;
  readonly principal: Principal;
  private readonly options: LegacyTaskOptions;
  private task: JsonObject;
  private over = false;

  constructor(options: LegacyTaskOptions) {
    this.ref = options.ref;
    this.principal = options.call.principal;
    this.options = options;
    this.task = { ...options.task, taskId: this.ref.id };
  }

  get ended(): boolean {
    return this.over;
  }

  /** As its server last described it, for `tasks/list`. */
  get described(): JsonObject {
    return this.task;
  }

  /** Takes what the server says of it; returns that as the client knows it. */
  note(task: JsonObject): JsonObject {
    const own = { ...task, taskId: this.ref.id };
    if (this.over) return own;
    this.task = own;
    if (typeof task.status === 'string' && isTerminal(task.status)) this.end(task.status);
    return own;
  }

  /** The session that made it hears of it (2025-11-25 basic/utilities/tasks, Task Status Notification). */
  changed(task: JsonObject): void {
    this.options.call.session?.standing.notify('notifications/tasks/status', this.note(task));
  }

  close(): void {
    if (!this.over) this.end('unknown');
  }

  private end(status: string): void {
    this.over = true;
    this.options.ended(status);
  }
}

/** A caller who is asked on behalf of a task, and told of which. */
export function exchangeOfTask(exchange: Exchange, task: string): Exchange {
  return {
    signal: exchange.signal,
    wantsProgress: exchange.wantsProgress,
    logLevel: exchange.logLevel,
    capabilities: exchange.capabilities,
    progress: (params) => exchange.progress(params),
    log: (params) => exchange.log(params),
    notify: (method, params) => exchange.notify(method, params),
    ask: (question) => exchange.ask({ ...question, task }),
  };
}
