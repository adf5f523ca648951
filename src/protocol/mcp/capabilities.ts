// The declared capabilities of clients and servers, as far as the gateway knows them, and the questions that servers may ask by them.
import { isObject, type JsonObject } from '../../core/json.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { GatewayError } from '../../core/errors.ts';
import { samplingMessagesFor } from './content.ts';
import { foreignMeta, MODERN_VERSION } from './vocabulary.ts';

/** The extension, as capabilities name it. */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** The capability that a client must declare to get tasks, in the form of `data.requiredCapabilities`. */
export const TASKS_CAPABILITY: JsonObject = Object.freeze({ extensions: { [TASKS_EXTENSION]: {} } });

/** Whether capabilities of 2026-07-28, of a client or server, have the extension. */
export function declaresTasks({ extensions }: JsonObject): boolean {
  return isObject(extensions) && isObject(extensions[TASKS_EXTENSION]);
}

/** Whether a server of 2025-11-25 runs tool calls as tasks. */
export function declaresLegacyTasks({ tasks }: JsonObject): boolean {
  const requests = isObject(tasks) ? tasks.requests : undefined;
  const tools = isObject(requests) ? requests.tools : undefined;
  return isObject(tools) && isObject(tools.call);
}

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

/** `URLElicitationRequiredError` (2025-11-25 client/elicitation). */
export const URL_ELICITATION_REQUIRED = -32042;

/** The key in `_meta` with which a legacy server names its question, for the gateway only: no client gets it. */
export const INPUT_KEY = 'mcp-gateway/inputKey';

/** The client of a question: its capabilities and its revision. */
export interface Askable {
  readonly capabilities: JsonObject;
  readonly version: string;
}

interface QuestionRule {
  readonly applies: (params: JsonObject) => boolean;
  readonly declared: (capabilities: JsonObject) => boolean;
  /** The capability, as a path. */
  readonly capability: string;
}

const has = (value: unknown, key: string): boolean => isObject(value) && isObject(value[key]);

/** An empty `elicitation` means forms alone (2025-11-25 client/elicitation, Capabilities). */
const takesForms = ({ elicitation }: JsonObject): boolean =>
  isObject(elicitation) && (isObject(elicitation.form) || elicitation.url === undefined);

const isUrl = ({ mode }: JsonObject): boolean => mode === 'url';

/** What a client must declare before the gateway asks it each kind of question. The declaration counts in every revision, also where the revision has no such question. */
const RULES: Readonly<Record<string, readonly QuestionRule[]>> = {
  'elicitation/create': [
    { applies: (params) => !isUrl(params), declared: takesForms, capability: 'elicitation.form' },
    { applies: isUrl, declared: ({ elicitation }) => has(elicitation, 'url'), capability: 'elicitation.url' },
  ],
  'sampling/createMessage': [
    {
      applies: () => true,
      declared: (capabilities) => has(capabilities, 'sampling'),
      capability: 'sampling',
    },
    {
      applies: ({ tools, toolChoice }) => tools !== undefined || toolChoice !== undefined,
      declared: ({ sampling }) => has(sampling, 'tools'),
      capability: 'sampling.tools',
    },
  ],
  'roots/list': [
    {
      applies: () => true,
      declared: (capabilities) => has(capabilities, 'roots'),
      capability: 'roots',
    },
  ],
};

/** Why a client with these capabilities cannot be asked this, as the end of a sentence; undefined where it can. */
export function whyNotAsked(method: string, params: JsonObject, capabilities: JsonObject): string | undefined {
  const rules = Object.hasOwn(RULES, method) ? RULES[method] : undefined;
  if (!rules) return `${JSON.stringify(method.slice(0, BOUNDS.errorKey))} is no question of the protocol`;
  const missing = rules.find(({ applies, declared }) => applies(params) && !declared(capabilities));
  return missing && `it did not declare \`${missing.capability}\``;
}

/** Throws `question_undeclared` where a client with these capabilities cannot be asked this. */
export function requireAskable(method: string, params: JsonObject, capabilities: JsonObject): void {
  const refusal = whyNotAsked(method, params, capabilities);
  if (refusal !== undefined)
    throw new GatewayError('question_undeclared', `The client cannot be asked this: ${refusal}.`);
}

/**
 * The params of a question for its client: without `mode` for clients whose revision has none, with `elicitationId` only in URL mode for
 * legacy clients (wire.md, Questions 7). They never ask the client for a task, which the gateway does not declare to servers.
 */
export function paramsFor(method: string, params: JsonObject, { capabilities, version }: Askable): JsonObject {
  const { _meta, mode, elicitationId, ...rest } = withoutTask(params);
  const kept = withoutKey(foreignMeta(_meta));
  const elicits = method === 'elicitation/create';
  const modes = isUrl(params) || (version >= '2025-11-25' && has(capabilities.elicitation, 'form'));
  const ids = version < MODERN_VERSION && isUrl(params);
  const { messages } = rest;
  if (method === 'sampling/createMessage' && Array.isArray(messages) && version < MODERN_VERSION)
    rest.messages = samplingMessagesFor(messages, version);
  return {
    ...rest,
    ...(mode !== undefined && (!elicits || modes) && { mode }),
    ...(elicitationId !== undefined && (!elicits || ids) && { elicitationId }),
    ...(kept && { _meta: kept }),
  };
}

/** The message with its `inputRequests` unchanged, except that they do not ask the client for tasks. */
export function withoutClientTasks(message: JsonObject): JsonObject {
  const { inputRequests } = message;
  if (!isObject(inputRequests)) return message;
  const carried = Object.entries(inputRequests).map(([key, request]) => {
    const asksForTask = isObject(request) && isObject(request.params) && request.params.task !== undefined;
    return [key, asksForTask ? { ...request, params: withoutTask(request.params as JsonObject) } : request] as const;
  });
  return { ...message, inputRequests: Object.fromEntries(carried) };
}

function withoutKey(meta: JsonObject | undefined): JsonObject | undefined {
  if (meta?.[INPUT_KEY] === undefined) return meta;
  const { [INPUT_KEY]: _key, ...rest } = meta;
  return Object.keys(rest).length > 0 ? rest : undefined;
}

function withoutTask({ task: _task, ...params }: JsonObject): JsonObject {
  return params;
}

/** The capabilities that a client must declare to be asked this, in the form of its declaration. */
export function missingCapability(method: string, params: JsonObject): JsonObject {
  const rules = Object.hasOwn(RULES, method) ? (RULES[method] ?? []) : [];
  const needed = rules.filter(({ applies }) => applies(params)).map(({ capability }) => capability.split('.'));
  return Object.fromEntries(
    needed.map(([name = '', flag]) => [name, flag === undefined ? {} : { [flag]: {} }] as const),
  );
}

const ACTIONS: ReadonlySet<unknown> = new Set(['accept', 'decline', 'cancel']);
const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant']);

/** Whether a response has the shape of an answer to the question. */
export function isAnswer(method: string, response: JsonObject): boolean {
  const { action, content, roots, role } = response;
  if (method === 'elicitation/create') return ACTIONS.has(action) && (content === undefined || isObject(content));
  if (method === 'roots/list')
    return Array.isArray(roots) && roots.every((root) => isObject(root) && typeof root.uri === 'string');
  const blocks = Array.isArray(content) ? content : [content];
  return ROLES.has(role) && blocks.every((block) => isObject(block) && typeof block.type === 'string');
}
