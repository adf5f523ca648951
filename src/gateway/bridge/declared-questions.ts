// Checks that a modern server asks a modern client only what the client declared (wire.md, Questions 6).
import type { McpCall } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { missingCapability, whyNotAsked } from '../../protocol/mcp/questions.ts';
import { MODERN_VERSION } from '../../protocol/mcp/versions.ts';
import { joined } from './parked-call.ts';

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
  const client = { capabilities: call.exchange.capabilities, version: MODERN_VERSION };
  let why: string | undefined;
  let lacking: JsonObject = {};
  for (const request of Object.values(inputRequests)) {
    const { method, params } = isObject(request) ? request : {};
    const given = isObject(params) ? params : {};
    const refusal = typeof method === 'string' ? whyNotAsked(method, given, client) : 'it is not a request';
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
