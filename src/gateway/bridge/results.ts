// Results and errors across eras: what each side may see, and in which shape (wire.md, Shapes across eras).
import type { Call, Era } from '../../core/call.ts';
import { isObject, type JsonObject, type JsonValue } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { foreignMeta } from '../../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../../protocol/mcp/methods.ts';
import { withoutClientTasks } from '../../protocol/mcp/questions.ts';

const RESOURCE_NOT_FOUND_LEGACY = -32002;
const INVALID_PARAMS = -32602;

/** A server's result as the caller's era has it. Within the legacy era it is the very same object. */
export function bridgeResult(call: Pick<Call, 'era' | 'method'>, from: Era, result: JsonObject): JsonObject {
  if (call.era === 'legacy') return from === 'legacy' ? result : toLegacy(result);
  return toModern(call.method, from, result);
}

/** Modern results carry `resultType`, and caching hints where the method has them; what an older server cannot know is private and stale at once. */
function toModern(method: string, from: Era, result: JsonObject): JsonObject {
  const resultType = from === 'modern' ? (result.resultType ?? 'complete') : 'complete';
  const complete: JsonObject = { ...(from === 'modern' ? withoutClientTasks(result) : result), resultType };
  if (result._meta !== undefined) complete._meta = foreignMeta(result._meta);
  if (CALL_METHODS.get(method)?.cacheable) {
    const ttl = result.ttlMs;
    complete.ttlMs = from === 'modern' && typeof ttl === 'number' && ttl >= 0 ? ttl : 0;
    complete.cacheScope = 'private'; // it was read with the gateway's own credentials
  }
  return complete;
}

function toLegacy(result: JsonObject): JsonObject {
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, _meta, ...rest } = result;
  const meta = foreignMeta(_meta);
  return wrapStructured(meta ? { ...rest, _meta: meta } : rest);
}

/** Legacy clients reject structured content that is no object: it is wrapped as `{ result: … }`, as SDK v2 does. */
function wrapStructured(result: JsonObject): JsonObject {
  const structured = result.structuredContent;
  if (structured === undefined || isObject(structured)) return result;
  const content = result.content;
  const hasText = Array.isArray(content) && content.some((block) => isObject(block) && block.type === 'text');
  const text = { type: 'text', text: JSON.stringify(structured) };
  return {
    ...result,
    structuredContent: { result: structured },
    content: hasText ? content : [...(Array.isArray(content) ? content : []), text],
  };
}

/** A tool as a legacy client can take it: one output schema that is no object makes SDK v1 reject the whole list. */
export function toLegacyTool(tool: JsonObject): JsonObject {
  const schema = tool.outputSchema;
  if (!isObject(schema) || schema.type === 'object') return tool;
  const { $schema, ...inner } = schema;
  const wrapped: JsonObject = { type: 'object', properties: { result: inner as JsonValue }, required: ['result'] };
  return { ...tool, outputSchema: $schema === undefined ? wrapped : { $schema, ...wrapped } };
}

/** A server's error with the code that the caller's era has for it. */
export function bridgeError(call: Pick<Call, 'era' | 'method' | 'requested'>, error: RpcError): RpcError {
  if (call.method !== 'resources/read') return error;
  if (call.era === 'modern' && error.code === RESOURCE_NOT_FOUND_LEGACY) {
    return {
      ...error,
      code: INVALID_PARAMS,
      data: { ...(isObject(error.data) ? error.data : {}), uri: call.requested },
    };
  }
  if (call.era === 'legacy' && error.code === INVALID_PARAMS && isObject(error.data) && 'uri' in error.data) {
    return { ...error, code: RESOURCE_NOT_FOUND_LEGACY };
  }
  return error;
}
