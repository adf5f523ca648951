// The error with which a legacy server sends its caller to a page first, as the questions that a modern caller gets (wire.md, Shapes across eras).
import type { McpCall } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { missingCapability, URL_ELICITATION_REQUIRED, whyNotAsked } from '../../protocol/mcp/questions.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { INPUT_REQUIRED } from './request-state.ts';

/** Most pages of one error. */
const MAX_ELICITATIONS = 100;

/**
 * What the caller is asked in the place of such an error; undefined for any other. It carries no state, so that the retry is the same
 * call made anew. Throws `capability_required` where the caller cannot open pages.
 */
export function urlElicitations(call: McpCall, { code, message, data }: RpcError): JsonObject | undefined {
  if (code !== URL_ELICITATION_REQUIRED || !isObject(data) || !Array.isArray(data.elicitations)) return undefined;
  const { elicitations } = data;
  if (elicitations.length === 0 || elicitations.length > MAX_ELICITATIONS || !elicitations.every(isPage))
    return undefined;
  const method = 'elicitation/create';
  const { capabilities } = call.exchange;
  const refusal = whyNotAsked(method, { mode: 'url' }, { capabilities, version: MODERN_VERSION });
  if (refusal !== undefined)
    throw new GatewayError(
      'capability_required',
      `The server sends its caller to a page first, but the client cannot be asked this: ${refusal}. It said: ${message.slice(0, 500)}`,
      { data: { requiredCapabilities: missingCapability(method, { mode: 'url' }) } },
    );
  const requests = elicitations.map(({ url, message: why }, index) => {
    return [`u${index + 1}`, { method, params: { mode: 'url', message: why ?? message, url } }] as const;
  });
  return { resultType: INPUT_REQUIRED, inputRequests: Object.fromEntries(requests) };
}

function isPage(value: unknown): value is JsonObject {
  return (
    isObject(value) &&
    typeof value.url === 'string' &&
    (value.message === undefined || typeof value.message === 'string')
  );
}
