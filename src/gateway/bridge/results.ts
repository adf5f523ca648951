// Results and errors across eras: what each side may see, and in which shape (wire.md, Shapes across eras).
import type { McpCall, Era } from '../../core/call.ts';
import type { ToolTraits } from '../../catalog/catalog.ts';
import { excerpt } from '../../core/errors.ts';
import { isObject, type JsonObject, numberOf } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { contentFor } from '../../protocol/mcp/content.ts';
import { textOf } from '../../protocol/mcp/json-writer.ts';
import { foreignMeta } from '../../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../../protocol/mcp/methods.ts';
import { withoutClientTasks } from '../../protocol/mcp/questions.ts';

const RESOURCE_NOT_FOUND_LEGACY = -32002;
const INVALID_PARAMS = -32602;

/** Who gave a result. */
export interface Source {
  readonly era: Era;
  /** What legacy clients were told of the tool that gave it. */
  readonly traits: Pick<ToolTraits, 'wrapsOutput'>;
}

/** A server's result as the caller's era and revision have it: within the legacy era the very same object, where the client knows all of it. */
export function bridgeResult(
  call: Pick<McpCall, 'era' | 'method' | 'revision'>,
  { era: from, traits }: Source,
  result: JsonObject,
): JsonObject {
  if (call.era === 'modern') return toModern(call.method, from, result);
  const known = contentFor(from === 'legacy' ? result : toLegacy(result), call.revision);
  return wrapStructured(known, traits.wrapsOutput);
}

/** Modern results carry `resultType`, and caching hints where the method has them; what an older server cannot know is private and stale at once. */
function toModern(method: string, from: Era, result: JsonObject): JsonObject {
  const resultType = from === 'modern' ? (result.resultType ?? 'complete') : 'complete';
  const complete: JsonObject = { ...(from === 'modern' ? withoutClientTasks(result) : result), resultType };
  if (result._meta !== undefined) complete._meta = foreignMeta(result._meta);
  if (CALL_METHODS.get(method)?.cacheable) {
    complete.ttlMs = from === 'modern' ? Math.max(numberOf(result.ttlMs) ?? 0, 0) : 0;
    complete.cacheScope = 'private'; // it was read with the gateway's own credentials
  }
  return complete;
}

function toLegacy(result: JsonObject): JsonObject {
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, _meta, ...rest } = result;
  const meta = foreignMeta(_meta);
  return meta ? { ...rest, _meta: meta } : rest;
}

/**
 * Legacy clients reject structured content that is no object, or not what the tool's schema says: it is wrapped as the schema is, with a text
 * block if there is none, as SDK v2 does.
 */
function wrapStructured(result: JsonObject, wraps: boolean): JsonObject {
  const structured = result.structuredContent;
  if (structured === undefined) return result;
  if (isObject(structured)) return wraps ? { ...result, structuredContent: { result: structured } } : result;
  const content = Array.isArray(result.content) ? result.content : [];
  const hasText = content.some((block) => isObject(block) && block.type === 'text');
  const text = { type: 'text', text: textOf(structured) };
  return {
    ...result,
    structuredContent: { result: structured },
    content: hasText ? content : [...content, text],
  };
}

/** A server's error with the code that the caller's era has for it. */
export function bridgeError(call: Pick<McpCall, 'era' | 'method' | 'params'>, error: RpcError): RpcError {
  if (call.method !== 'resources/read') return error;
  const { uri } = call.params;
  if (call.era === 'modern' && error.code === RESOURCE_NOT_FOUND_LEGACY) {
    return {
      ...error,
      code: INVALID_PARAMS,
      data: { ...(isObject(error.data) ? error.data : {}), uri: excerpt(typeof uri === 'string' ? uri : '') },
    };
  }
  if (call.era === 'legacy' && error.code === INVALID_PARAMS && isObject(error.data) && 'uri' in error.data) {
    return { ...error, code: RESOURCE_NOT_FOUND_LEGACY };
  }
  return error;
}
