// Reduces a server's declared capabilities to those that the gateway carries.
import { isObject, type JsonObject } from '../../core/json.ts';
import { declaresLegacyTasks, declaresTasks, TASKS_CAPABILITY } from './tasks.ts';

/** The capabilities that are objects of flags, and their flags. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  tools: ['listChanged'],
  prompts: ['listChanged'],
  resources: ['listChanged', 'subscribe'],
  completions: [],
  logging: [],
};

/** The known capabilities of a server of either era. */
export function knownServerCapabilities(declared: unknown): JsonObject {
  if (!isObject(declared)) return {};
  const known: JsonObject = {};
  for (const [name, flags] of Object.entries(FLAGS)) {
    const given = declared[name];
    if (isObject(given))
      known[name] = Object.fromEntries(flags.filter((flag) => given[flag] === true).map((flag) => [flag, true]));
  }
  const { tasks } = declared;
  if (isObject(tasks)) {
    known.tasks = {
      ...(isObject(tasks.list) && { list: {} }),
      ...(isObject(tasks.cancel) && { cancel: {} }),
      ...(declaresLegacyTasks(declared) && { requests: { tools: { call: {} } } }),
    };
  }
  return declaresTasks(declared) ? { ...known, ...TASKS_CAPABILITY } : known;
}
