// What of a client's declared capabilities means anything here; nothing else of them is kept.
import { isObject, type JsonObject } from '../../core/json.ts';
import { declaresTasks, TASKS_CAPABILITY } from './tasks.ts';

const ELICITATION = 1;
const FORM = 2;
const PAGES = 4;
const SAMPLING = 8;
const TOOLS = 16;
const CONTEXT = 32;
const ROOTS = 64;
const LIST_CHANGED = 128;
const TASKS = 256;

/** Each combination is one object, made when it is first declared: a session or listener keeps no more than a reference to it. */
const combinations: (JsonObject | undefined)[] = [];

/** What most callers declare. */
export const NO_CAPABILITIES = combination(0);

/** The capabilities that the gateway knows: what a client can be asked, and whether it takes tasks. One frozen object for all who declare the same. */
export function knownCapabilities(declared: JsonObject): JsonObject {
  return combination(flagsOf(declared));
}

/**
 * What of a caller's capabilities is declared upstream: what a server may ask of it. Everything else, extensions too, would promise
 * what the gateway does not carry (wire.md, What the gateway offers).
 */
export function declarable(declared: JsonObject): JsonObject {
  return combination(flagsOf(declared) & ~TASKS);
}

function flagsOf(declared: JsonObject): number {
  const { elicitation, sampling, roots } = declared;
  let flags = declaresTasks(declared) ? TASKS : 0;
  if (isObject(elicitation)) {
    const { form, url } = elicitation;
    const modes = (isObject(form) ? FORM : 0) | (isObject(url) ? PAGES : 0);
    // without modes it means forms (2025-11-25 client/elicitation, Capabilities), but not where a mode is named in a way that means nothing
    if (modes !== 0 || url === undefined) flags |= ELICITATION | modes;
  }
  if (isObject(sampling))
    flags |= SAMPLING | (isObject(sampling.tools) ? TOOLS : 0) | (isObject(sampling.context) ? CONTEXT : 0);
  if (isObject(roots)) flags |= ROOTS | (roots.listChanged === true ? LIST_CHANGED : 0);
  return flags;
}

function combination(flags: number): JsonObject {
  return (combinations[flags] ??= made(flags));
}

function made(flags: number): JsonObject {
  const has = (flag: number) => (flags & flag) !== 0;
  const { freeze } = Object;
  return freeze({
    ...(has(ELICITATION) && {
      elicitation: freeze({ ...(has(FORM) && { form: {} }), ...(has(PAGES) && { url: {} }) }),
    }),
    ...(has(SAMPLING) && {
      sampling: freeze({ ...(has(TOOLS) && { tools: {} }), ...(has(CONTEXT) && { context: {} }) }),
    }),
    ...(has(ROOTS) && { roots: freeze(has(LIST_CHANGED) ? { listChanged: true } : {}) }),
    ...(has(TASKS) && TASKS_CAPABILITY),
  });
}
