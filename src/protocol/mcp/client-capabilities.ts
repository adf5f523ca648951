// Reduces a client's declared capabilities to those that the gateway knows.
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

/** Each combination is one object, so that a session or listener keeps only a reference. The objects inside are shared. */
const COMBINATIONS = allCombinations();

/** The capabilities of most callers. */
export const NO_CAPABILITIES = combination(0);

/** The known capabilities: which questions a client answers, and whether it takes tasks. Equal declarations get the same frozen object. */
export function knownCapabilities(declared: JsonObject): JsonObject {
  return combination(flagsOf(declared));
}

/**
 * The part of a caller's capabilities that the gateway declares to servers: which questions a server may ask. The gateway does not carry
 * anything else, extensions included (wire.md, What the gateway offers).
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
    // without modes it means forms (2025-11-25 client/elicitation, Capabilities), but not where `url` is there and malformed
    if (modes !== 0 || url === undefined) flags |= ELICITATION | modes;
  }
  if (isObject(sampling))
    flags |= SAMPLING | (isObject(sampling.tools) ? TOOLS : 0) | (isObject(sampling.context) ? CONTEXT : 0);
  if (isObject(roots)) flags |= ROOTS | (roots.listChanged === true ? LIST_CHANGED : 0);
  return flags;
}

function combination(flags: number): JsonObject {
  return COMBINATIONS[flags] ?? {};
}

function allCombinations(): readonly JsonObject[] {
  const { freeze } = Object;
  const empty = freeze({});
  const two = (first: string, second: string) =>
    [{}, { [first]: empty }, { [second]: empty }, { [first]: empty, [second]: empty }].map((each) => freeze(each));
  const elicitations = two('form', 'url');
  const samplings = two('tools', 'context');
  const roots = [empty, freeze({ listChanged: true })];
  return Array.from({ length: 2 * TASKS }, (_, flags) => {
    const has = (flag: number) => (flags & flag) !== 0;
    return freeze<JsonObject>({
      ...(has(ELICITATION) && { elicitation: elicitations[(flags / FORM) & 3] }),
      ...(has(SAMPLING) && { sampling: samplings[(flags / TOOLS) & 3] }),
      ...(has(ROOTS) && { roots: roots[(flags / LIST_CHANGED) & 1] }),
      ...(has(TASKS) && TASKS_CAPABILITY),
    });
  });
}
