// What a server declares that it can do, as far as the gateway carries it: whatever else it says is nobody's to keep.
import { isObject, type JsonObject } from '../../core/json.ts';
import { declaresLegacyTasks, declaresTasks, TASKS_CAPABILITY } from './tasks.ts';

/** Capabilities with lists or the like, and what may stand in them. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  tools: ['listChanged'],
  prompts: ['listChanged'],
  resources: ['listChanged', 'subscribe'],
  completions: [],
  logging: [],
};

/** The capabilities of the protocol that a server declares, of either era, without anything else that it says there. */
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
