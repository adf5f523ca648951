// Tasks in both eras: the extension of 2026-07-28, the utility of 2025-11-25, and the translation between them.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';

/** The `_meta` key that ties a message of 2025-11-25 to its task. */
const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/** The first legacy revision that has tasks. */
export const LEGACY_TASKS_SINCE = '2025-11-25';

/** The `resultType` of a modern result that is a task and not yet an answer. */
export const TASK_RESULT = 'task';

/** Whether a tool runs as a task of 2025-11-25: `optional`, where its caller wants that, or always. */
export type TaskSupport = 'optional' | 'required';

/** The task support in a tool's definition of 2025-11-25; undefined where the tool never runs as a task. */
export function taskSupportOf({ execution }: JsonObject): TaskSupport | undefined {
  const support = isObject(execution) ? execution.taskSupport : undefined;
  return support === 'optional' || support === 'required' ? support : undefined;
}

/** The id of a task; undefined where it is not a string within `taskId`. */
export function taskIdOf(task: JsonObject): string | undefined {
  const { taskId } = task;
  return typeof taskId === 'string' && taskId !== '' && taskId.length <= BOUNDS.taskId ? taskId : undefined;
}

/** The id of the task that a message of 2025-11-25 belongs to. */
export function relatedTaskOf({ _meta }: JsonObject): string | undefined {
  const related = isObject(_meta) ? _meta[RELATED_TASK] : undefined;
  return isObject(related) ? taskIdOf(related) : undefined;
}

/** Adds the id of the one task that params or a result belong to. */
export function withRelatedTask(message: JsonObject, taskId: string): JsonObject {
  const { _meta } = message;
  return { ...message, _meta: { ...(isObject(_meta) ? _meta : {}), [RELATED_TASK]: { taskId } } };
}

const TERMINAL: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Whether a status is final. */
export function isTerminal(status: unknown): boolean {
  return TERMINAL.has(status);
}

/** The fields of a task of 2025-11-25 that the gateway keeps: those of the revision, cut to their bounds. */
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
    taskId: text(taskId, BOUNDS.taskId),
    status: text(status, BOUNDS.taskStatus),
    statusMessage: text(statusMessage, BOUNDS.taskStatusMessage),
    createdAt: text(createdAt, BOUNDS.taskTime),
    lastUpdatedAt: text(lastUpdatedAt, BOUNDS.taskTime),
    ttl: numberOf(ttl) ?? null,
    pollInterval: numberOf(pollInterval),
  };
  return Object.fromEntries(
    Object.entries(kept).filter((entry): entry is [string, string | number | null] => entry[1] !== undefined),
  );
}

/** Translates a kept task of 2025-11-25 into one of 2026-07-28, without its id, its `ttl`, and the fields that depend on its status. */
export function toModernTask({ statusMessage, createdAt, lastUpdatedAt, pollInterval }: JsonObject): JsonObject {
  const created = createdAt ?? new Date().toISOString();
  return {
    ...(statusMessage !== undefined && { statusMessage }),
    createdAt: created,
    lastUpdatedAt: lastUpdatedAt ?? created,
    ...(numberOf(pollInterval) !== undefined && { pollIntervalMs: wholeMs(numberOf(pollInterval) ?? 0) }),
  };
}

/** Whole milliseconds from 0 to `taskPollInterval`. */
function wholeMs(value: number): number {
  return Math.min(Math.max(0, Math.trunc(value)), BOUNDS.taskPollInterval);
}
