// Translates the results, errors and questions of servers into the era and revision of the caller (wire.md, Shapes across eras).
import type { Era, McpCall } from '../../core/call.ts';
import type { ToolTraits } from '../../catalog/catalog.ts';
import { excerpt, GatewayError } from '../../core/errors.ts';
import { isObject, jsonOf, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { contentFor } from '../../protocol/mcp/content.ts';
import { CALL_METHODS, foreignMeta } from '../../protocol/mcp/vocabulary.ts';
import {
  missingCapability,
  URL_ELICITATION_REQUIRED,
  whyNotAsked,
  withoutClientTasks,
} from '../../protocol/mcp/capabilities.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { INPUT_REQUIRED } from './request-state.ts';
import { joined } from './parked-call.ts';

const RESOURCE_NOT_FOUND_LEGACY = -32002;
const INVALID_PARAMS = -32602;

/** The server of a result, as far as the translation depends on it. */
export interface Source {
  readonly era: Era;
  /** How legacy clients were shown the tool. */
  readonly traits: Pick<ToolTraits, 'wrapsOutput'>;
}

/** A server's result in the era and revision of the caller. Within the legacy era it is the same object where the client knows all content types. */
export function bridgeResult(
  call: Pick<McpCall, 'era' | 'method' | 'revision'>,
  { era: from, traits }: Source,
  result: JsonObject,
): JsonObject {
  if (call.era === 'modern') return toModern(call.method, from, result);
  const known = contentFor(from === 'legacy' ? result : toLegacy(result), call.revision);
  return wrapStructured(known, traits.wrapsOutput);
}

/** Adds what modern results carry: `resultType`, and for some methods `ttlMs` and `cacheScope`. The result of a legacy server is never cacheable. */
function toModern(method: string, from: Era, result: JsonObject): JsonObject {
  const resultType = from === 'modern' ? (result.resultType ?? 'complete') : 'complete';
  const complete: JsonObject = { ...(from === 'modern' ? withoutClientTasks(result) : result), resultType };
  if (result._meta !== undefined) complete._meta = foreignMeta(result._meta);
  if (CALL_METHODS.get(method)?.cacheable) {
    complete.ttlMs = from === 'modern' ? Math.max(numberOf(result.ttlMs) ?? 0, 0) : 0;
    complete.cacheScope = 'private'; // the gateway read it with credentials of its own
  }
  return complete;
}

function toLegacy(result: JsonObject): JsonObject {
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, _meta, ...rest } = result;
  const meta = foreignMeta(_meta);
  return meta ? { ...rest, _meta: meta } : rest;
}

/**
 * Wraps structured content that is not an object, as the tool's schema was wrapped, because legacy clients reject it; adds a text block if there
 * is none. SDK v2 does the same.
 */
function wrapStructured(result: JsonObject, wraps: boolean): JsonObject {
  const structured = result.structuredContent;
  if (structured === undefined) return result;
  if (isObject(structured)) return wraps ? { ...result, structuredContent: { result: structured } } : result;
  const content = Array.isArray(result.content) ? result.content : [];
  const hasText = content.some((block) => isObject(block) && block.type === 'text');
  const text = { type: 'text', text: jsonOf(structured) };
  return {
    ...result,
    structuredContent: { result: structured },
    content: hasText ? content : [...content, text],
  };
}

/** A server's error with the code of the caller's era. */
export function bridgeError(call: Pick<McpCall, 'era' | 'method' | 'params'>, error: RpcError): RpcError {
  if (call.method !== 'resources/read') return error;
  const { uri } = call.params;
  const data = isObject(error.data) ? error.data : {};
  const requested = { ...data, uri: excerpt(typeof uri === 'string' ? uri : '') };
  if (call.era === 'modern' && error.code === RESOURCE_NOT_FOUND_LEGACY)
    return { ...error, code: INVALID_PARAMS, data: requested };
  if (!('uri' in data)) return error;
  if (call.era === 'legacy' && error.code === INVALID_PARAMS)
    return { ...error, code: RESOURCE_NOT_FOUND_LEGACY, data: requested };
  return error.code === RESOURCE_NOT_FOUND_LEGACY || error.code === INVALID_PARAMS
    ? { ...error, data: requested }
    : error;
}

/**
 * The `input_required` result in the place of such an error; undefined for any other error. It has no `requestState`: the retry is a new
 * call. Throws `capability_required` where the client does not support URL elicitations.
 */
export function urlElicitations(call: McpCall, { code, message, data }: RpcError): JsonObject | undefined {
  if (code !== URL_ELICITATION_REQUIRED || !isObject(data) || !Array.isArray(data.elicitations)) return undefined;
  const { elicitations } = data;
  if (
    elicitations.length === 0 ||
    elicitations.length > BOUNDS.urlElicitationsOfError ||
    !elicitations.every(isElicitation)
  )
    return undefined;
  const method = 'elicitation/create';
  const refusal = whyNotAsked(method, { mode: 'url' }, call.exchange.capabilities);
  if (refusal !== undefined)
    throw new GatewayError(
      'capability_required',
      `The server sends its caller to a page first, but the client cannot be asked this: ${refusal}. It said: ${message.slice(0, BOUNDS.quotedServerText)}`,
      { data: { requiredCapabilities: missingCapability(method, { mode: 'url' }) } },
    );
  const requests = elicitations.map(({ url, message: why }, index) => {
    return [`u${index + 1}`, { method, params: { mode: 'url', message: why ?? message, url } }] as const;
  });
  return { resultType: INPUT_REQUIRED, inputRequests: Object.fromEntries(requests) };
}

function isElicitation(value: unknown): value is JsonObject {
  return (
    isObject(value) &&
    typeof value.url === 'string' &&
    (value.message === undefined || typeof value.message === 'string')
  );
}

/**
 * Checks the `inputRequests` of a result. Throws `capability_required` where they ask for something that the client did not declare,
 * `upstream_protocol` where one is not a question.
 */
export function checkDeclared(call: McpCall, server: string, { inputRequests }: JsonObject): void {
  if (inputRequests === undefined) return;
  if (!isObject(inputRequests))
    throw new GatewayError(
      'upstream_protocol',
      `The server "${server}" asks what is no question: \`inputRequests\` is no object.`,
    );
  let why: string | undefined;
  let lacking: JsonObject = {};
  for (const request of Object.values(inputRequests)) {
    const { method, params } = isObject(request) ? request : {};
    const given = isObject(params) ? params : {};
    const refusal =
      typeof method === 'string' ? whyNotAsked(method, given, call.exchange.capabilities) : 'it is not a request';
    if (refusal === undefined) continue;
    const missing = typeof method === 'string' ? missingCapability(method, given) : {};
    if (Object.keys(missing).length === 0)
      throw new GatewayError('upstream_protocol', `The server "${server}" asks what is no question: ${refusal}.`);
    why ??= refusal;
    lacking = joined(lacking, missing);
  }
  if (why === undefined) return;
  throw new GatewayError(
    'capability_required',
    `The server "${server}" asks its caller something, but the client cannot be asked this: ${why}.`,
    { data: { requiredCapabilities: lacking } },
  );
}
