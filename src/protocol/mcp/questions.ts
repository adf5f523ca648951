// What servers may ask of a client, and what the client must have declared to be asked it.
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { samplingMessagesFor } from './content.ts';
import { foreignMeta } from './meta.ts';
import { MODERN_VERSION } from './versions.ts';

/** `URLElicitationRequiredError` (2025-11-25 client/elicitation). */
export const URL_ELICITATION_REQUIRED = -32042;

/** Where a legacy server names the key of its question, in `_meta`: for the gateway, and for no client. */
export const INPUT_KEY = 'mcp-gateway/inputKey';

/** The side that is asked: what it declared, and the revision that it speaks. */
export interface Askable {
  readonly capabilities: JsonObject;
  readonly version: string;
}

interface QuestionRule {
  /** The first revision that has it; later ones do too, revisions being dates. */
  readonly since: string;
  readonly applies: (params: JsonObject) => boolean;
  readonly declared: (capabilities: JsonObject) => boolean;
  /** The capability, as a client would write it. */
  readonly capability: string;
}

const has = (value: unknown, key: string): boolean => isObject(value) && isObject(value[key]);

/** An empty `elicitation` means forms alone (2025-11-25 client/elicitation, Capabilities). */
const takesForms = ({ elicitation }: JsonObject): boolean =>
  isObject(elicitation) && (isObject(elicitation.form) || elicitation.url === undefined);

const isUrl = ({ mode }: JsonObject): boolean => mode === 'url';

/** Every question that there is; all rules that apply to one must hold. */
const RULES: Readonly<Record<string, readonly QuestionRule[]>> = {
  'elicitation/create': [
    { since: '2025-06-18', applies: (params) => !isUrl(params), declared: takesForms, capability: 'elicitation.form' },
    {
      since: '2025-11-25',
      applies: isUrl,
      declared: ({ elicitation }) => has(elicitation, 'url'),
      capability: 'elicitation.url',
    },
  ],
  'sampling/createMessage': [
    {
      since: '2024-11-05',
      applies: () => true,
      declared: (capabilities) => has(capabilities, 'sampling'),
      capability: 'sampling',
    },
    {
      since: '2025-11-25',
      applies: ({ tools, toolChoice }) => tools !== undefined || toolChoice !== undefined,
      declared: ({ sampling }) => has(sampling, 'tools'),
      capability: 'sampling.tools',
    },
  ],
  'roots/list': [
    {
      since: '2024-11-05',
      applies: () => true,
      declared: (capabilities) => has(capabilities, 'roots'),
      capability: 'roots',
    },
  ],
};

/** Why this cannot be asked of a client, as the end of a sentence; undefined where it can. */
export function whyNotAsked(
  method: string,
  params: JsonObject,
  { capabilities, version }: Askable,
): string | undefined {
  const rules = Object.hasOwn(RULES, method) ? RULES[method] : undefined;
  if (!rules) return `${JSON.stringify(method.slice(0, 64))} is no question of the protocol`;
  for (const { since, applies, declared, capability } of rules) {
    if (!applies(params)) continue;
    if (version < since) return `it speaks ${version}, and \`${capability}\` is of ${since}`;
    if (!declared(capabilities)) return `it did not declare \`${capability}\``;
  }
  return undefined;
}

/** Throws `question_undeclared` where this cannot be asked of a client. */
export function requireAskable(method: string, params: JsonObject, client: Askable): void {
  const refusal = whyNotAsked(method, params, client);
  if (refusal !== undefined)
    throw new GatewayError('question_undeclared', `The client cannot be asked this: ${refusal}.`);
}

/**
 * A question's params as its client knows them: those that never heard of modes get none, and pages alone have ids, for older clients
 * (wire.md, Questions 7). No client is asked for a task of its own: the gateway declares to no server that a client has such.
 */
export function paramsFor(method: string, params: JsonObject, { capabilities, version }: Askable): JsonObject {
  const { _meta, mode, elicitationId, ...rest } = withoutTask(params);
  const kept = withoutKey(foreignMeta(_meta));
  const elicits = method === 'elicitation/create';
  const modes = version >= '2025-11-25' && (has(capabilities.elicitation, 'form') || isUrl(params));
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

/** A message whose `inputRequests` go on as they are, but for tasks that they ask the client for. */
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

/** The capabilities that a client must declare to be asked this, as it would declare them. */
export function missingCapability(method: string, params: JsonObject): JsonObject {
  const rules = Object.hasOwn(RULES, method) ? (RULES[method] ?? []) : [];
  const needed = rules.filter(({ applies }) => applies(params)).map(({ capability }) => capability.split('.'));
  return Object.fromEntries(
    needed.map(([name = '', flag]) => [name, flag === undefined ? {} : { [flag]: {} }] as const),
  );
}

const ACTIONS: ReadonlySet<unknown> = new Set(['accept', 'decline', 'cancel']);
const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant']);

/** Whether a response has the shape that answers a question. */
export function isAnswer(method: string, response: JsonObject): boolean {
  const { action, content, roots, role } = response;
  if (method === 'elicitation/create') return ACTIONS.has(action) && (content === undefined || isObject(content));
  if (method === 'roots/list')
    return Array.isArray(roots) && roots.every((root) => isObject(root) && typeof root.uri === 'string');
  const blocks = Array.isArray(content) ? content : [content];
  return ROLES.has(role) && blocks.every((block) => isObject(block) && typeof block.type === 'string');
}
