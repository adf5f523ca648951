// Tasks in both eras: the extension of 2026-07-28 and the utility of 2025-11-25, and how one is written as the other.
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';

/** The extension, as capabilities name it. */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** The `_meta` key that ties a message of 2025-11-25 to its task. */
const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/** The first legacy revision that has tasks. */
export const LEGACY_TASKS_SINCE = '2025-11-25';

/** The result of 2026-07-28 that is a task and not yet an answer. */
export const TASK_RESULT = 'task';

/** What a client must declare to be given tasks, as `data.requiredCapabilities` says it. */
export const TASKS_CAPABILITY: JsonObject = Object.freeze({ extensions: { [TASKS_EXTENSION]: {} } });

/** Longest id of a server's task that is carried, in characters. */
const MAX_TASK_ID = 1_024;

/** Longest time that is kept as a server said it, in characters. */
export const MAX_TIME = 64;

/** Longest message about a status that is kept, in characters. */
const MAX_STATUS_MESSAGE = 4_096;

/** Whether a tool runs as a task of 2025-11-25: where its caller wants it to, or in any case. */
export type TaskSupport = 'optional' | 'required';

/** Whether capabilities of 2026-07-28, of either side, name the extension. */
export function declaresTasks({ extensions }: JsonObject): boolean {
  return isObject(extensions) && isObject(extensions[TASKS_EXTENSION]);
}

/** Whether a server of 2025-11-25 runs tool calls as tasks. */
export function declaresLegacyTasks({ tasks }: JsonObject): boolean {
  const requests = isObject(tasks) ? tasks.requests : undefined;
  const tools = isObject(requests) ? requests.tools : undefined;
  return isObject(tools) && isObject(tools.call);
}

/** What a tool's definition of 2025-11-25 says about tasks; undefined where it never runs as one. */
export function taskSupportOf({ execution }: JsonObject): TaskSupport | undefined {
  const support = isObject(execution) ? execution.taskSupport : undefined;
  return support === 'optional' || support === 'required' ? support : undefined;
}

/** The id of a task, if it is one that can be carried. */
export function taskIdOf(task: JsonObject): string | undefined {
  const { taskId } = task;
  return typeof taskId === 'string' && taskId !== '' && taskId.length <= MAX_TASK_ID ? taskId : undefined;
}

/** The task that a message of 2025-11-25 says it belongs to. */
export function relatedTaskOf({ _meta }: JsonObject): string | undefined {
  const related = isObject(_meta) ? _meta[RELATED_TASK] : undefined;
  return isObject(related) ? taskIdOf(related) : undefined;
}

/** Message params, or a result, that belong to this task and to no other. */
export function withRelatedTask(message: JsonObject, taskId: string): JsonObject {
  const { _meta } = message;
  return { ...message, _meta: { ...(isObject(_meta) ? _meta : {}), [RELATED_TASK]: { taskId } } };
}

const TERMINAL: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Whether a status is one that a task keeps. */
export function isTerminal(status: unknown): boolean {
  return TERMINAL.has(status);
}

/** What of a task of 2025-11-25 is kept: what the revision has, and no more of it than anybody would read. */
export function keptTask({
  taskId,
  status,
  statusMessage,
  createdAt,
  lastUpdatedAt,
  ttl,
  pollInterval,
}: JsonObject): JsonObject {
  const text = (value: unknown, most: number) => (typeof value === 'string' ? value.slice(0, most) : undefined);
  const kept = {
    taskId: text(taskId, MAX_TASK_ID),
    status: text(status, 32),
    statusMessage: text(statusMessage, MAX_STATUS_MESSAGE),
    createdAt: text(createdAt, MAX_TIME),
    lastUpdatedAt: text(lastUpdatedAt, MAX_TIME),
    ttl: numberOf(ttl) ?? null,
    pollInterval: numberOf(pollInterval),
  };
  return Object.fromEntries(
    Object.entries(kept).filter((entry): entry is [string, string | number | null] => entry[1] !== undefined),
  );
}

/** A task of 2025-11-25, as it is kept, the way 2026-07-28 writes it: without its id, its time, and what depends on its status. */
export function toModernTask({ statusMessage, createdAt, lastUpdatedAt, pollInterval }: JsonObject): JsonObject {
  const created = createdAt ?? new Date().toISOString();
  return {
    ...(statusMessage !== undefined && { statusMessage }),
    createdAt: created,
    lastUpdatedAt: lastUpdatedAt ?? created,
    ...(numberOf(pollInterval) !== undefined && { pollIntervalMs: wholeMs(numberOf(pollInterval) ?? 0) }),
  };
}

/** Whole milliseconds, none below nothing, and not more than a day. */
function wholeMs(value: number): number {
  return Math.min(Math.max(0, Math.trunc(value)), 24 * 60 * 60_000);
}
