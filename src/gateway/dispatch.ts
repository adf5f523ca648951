// The end of the pipeline: lists come from the catalog, everything else goes to the server that has it.
import { type Call, type Target } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { type Reply } from '../core/reply.ts';
import { type Handler } from '../core/stage.ts';
import { withoutProtocolMeta } from '../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import { mirrorArguments } from '../protocol/mcp/param-headers.ts';
import { traceparentOf } from '../telemetry/trace.ts';
import { type Upstream } from '../upstream/mcp/upstream.ts';
import { bridgeError, bridgeResult } from './bridge/results.ts';
import { INPUT_REQUIRED } from './bridge/request-state.ts';
import { listen } from './listening.ts';
import { type DispatchParts } from './dispatch-parts.ts';
import { pageOf } from './paging.ts';

/** Makes the last handler of a pipeline. */
export function createDispatch(parts: DispatchParts): Handler {
  return async (call) => {
    const lists = CALL_METHODS.get(call.method)?.lists;
    if (lists) {
      await parts.firstSight();
      const { all, server, version } = parts.catalog(call);
      const view = call.scope === undefined ? all : server(call.scope);
      return { kind: 'list', of: lists, ...pageOf(call, view?.lists[lists] ?? [], version) };
    }
    if (call.method === 'subscriptions/listen') return listen(call, parts);
    const { target } = call;
    const upstream = target && parts.upstream(target.server);
    if (!target || !upstream)
      throw new GatewayError('unknown_target', `Nothing of this name is offered: ${call.requested ?? call.method}`);
    if (call.method === 'resources/subscribe') return follow(call, upstream, true);
    if (call.method === 'resources/unsubscribe') return follow(call, upstream, false);
    return forward(call, { target, upstream }, parts);
  };
}

async function follow(call: Call, upstream: Upstream, wanted: boolean): Promise<Reply> {
  const uri = call.requested ?? '';
  const holder = call.session?.key ?? call.id;
  if (wanted) await upstream.follow(uri, holder, call);
  else upstream.unfollow(uri, holder);
  return { kind: 'result', result: {} };
}

async function forward(call: Call, to: { target: Target; upstream: Upstream }, parts: DispatchParts): Promise<Reply> {
  const { target, upstream } = to;
  const args = call.params.arguments;
  const mirrored = parts.catalog(call).mirrored(target);
  const headers =
    mirrored.length > 0 && isObject(args)
      ? { ...call.paramHeaders, ...mirrorArguments(mirrored, args) }
      : call.paramHeaders;
  const { connection, reply } = await upstream.request(
    {
      method: call.method,
      params: parts.states.unwrap(call, target, paramsFor(call, target)),
      totalMs: upstream.config.timeouts.total,
      exchange: call.exchange,
      traceparent: traceparentOf(call.trace),
      ...(call.trace.state !== undefined && { tracestate: call.trace.state }),
      ...(call.exchange.logLevel !== undefined && { logLevel: call.exchange.logLevel }),
      // what a legacy client can answer cannot be put to it by a modern server yet
      ...(call.era === 'modern' && { capabilities: call.exchange.capabilities }),
      ...(headers && { headers }),
    },
    call,
  );
  const origin = {
    server: target.server,
    instance: connection.instance,
    era: connection.era,
    transport: connection.wire.transport,
    bytes: reply.bytes,
  } as const;
  if (reply.error) return { kind: 'error', error: bridgeError(call, reply.error), origin };
  const result = reply.result ?? {};
  if (connection.era === 'modern' && result.resultType === INPUT_REQUIRED && call.era === 'modern')
    return { kind: 'result', result: withoutProtocolMeta(parts.states.wrap(call, target, result)), origin };
  if (connection.era === 'modern' && result.resultType !== undefined && result.resultType !== 'complete') {
    const what = JSON.stringify(result.resultType).slice(0, 64);
    throw new GatewayError(
      'upstream_protocol',
      `The server "${target.server}" answered with the result type ${what}, which the gateway does not carry to this client.`,
    );
  }
  parts.seen.learn(call.principal.id, target.server, result);
  return { kind: 'result', result: bridgeResult(call, connection.era, result), origin };
}

/** The caller's params with the name that the server knows; everything else as it was sent. */
function paramsFor(call: Call, target: Target): JsonObject {
  if (call.method === 'completion/complete') {
    const ref = call.params.ref;
    const key = target.kind === 'prompt' ? 'name' : 'uri';
    return { ...call.params, ref: { ...(isObject(ref) ? ref : {}), [key]: target.original } };
  }
  if (target.exposed === target.original) return call.params;
  return { ...call.params, [target.kind === 'resource' ? 'uri' : 'name']: target.original };
}
