// Translates the error -32042, with which a legacy server asks for URL elicitations, into questions for a modern client (wire.md, Shapes across eras).
import { BOUNDS } from '../../core/bounds/bounds.ts';
import type { McpCall } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';
import { missingCapability, URL_ELICITATION_REQUIRED, whyNotAsked } from '../../protocol/mcp/questions.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { INPUT_REQUIRED } from './request-state.ts';

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
  const { capabilities } = call.exchange;
  const refusal = whyNotAsked(method, { mode: 'url' }, { capabilities, version: MODERN_VERSION });
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
