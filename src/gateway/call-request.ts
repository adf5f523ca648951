// The request that an MCP endpoint hands to the gateway, and the Call that the gateway makes of it.
import type { McpCall } from '../core/call.ts';
import { isObject, messageHeap } from '../core/json.ts';
import { withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { randomHex, traceFrom } from '../telemetry/trace.ts';

/** What an endpoint knows of a call. `params` are as the client sent them, with the protocol keys in `_meta`. */
export interface CallRequest extends Omit<
  McpCall,
  'id' | 'kind' | 'action' | 'args' | 'trace' | 'startedAt' | 'heldBytes' | 'signal' | 'parent'
> {
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
}

/** Builds the frozen Call. */
export function buildCall(request: CallRequest): McpCall {
  const { traceparent, tracestate, params, ...rest } = request;
  const meta = isObject(params._meta) ? params._meta : undefined;
  return Object.freeze({
    ...rest,
    id: randomHex(12),
    kind: 'mcp',
    action: rest.method,
    ...(params.arguments !== undefined && { args: params.arguments }),
    params: withoutProtocolMeta(params),
    trace: traceFrom(traceparent ?? meta?.traceparent, tracestate ?? meta?.tracestate),
    startedAt: performance.now(),
    heldBytes: messageHeap(rest.bytes, params),
    signal: rest.exchange.signal,
  });
}
