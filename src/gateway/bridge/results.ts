// Translates the results and errors of servers into the era and revision of the caller (wire.md, Shapes across eras).
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
  const text = { type: 'text', text: textOf(structured) };
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
