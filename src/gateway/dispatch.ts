// The end of the pipeline for MCP calls: the table of methods, and who answers each.
import type { McpCall, OfferKind } from '../core/call.ts';
import { excerpt, GatewayError } from '../core/errors.ts';
import type { Reply } from '../core/reply.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import type { DispatchParts } from './dispatch-parts.ts';
import { forward } from './forward.ts';
import { pageOf } from './paging.ts';
import type { McpContext } from './resolve.ts';
import { subscribe, unsubscribe } from './subscribe.ts';
import { listen } from './subscriptions-listen.ts';
import type { Destination } from './upstream-request.ts';

/** Returns the dispatch of MCP calls. While a call runs, its caller gets heartbeats if it wants progress. */
export function dispatchMcp(parts: DispatchParts): (call: McpCall, ctx: McpContext) => Promise<Reply> {
  return async (call, ctx) => {
    try {
      const answering = dispatch(call, ctx, parts);
      return await (answering instanceof Promise ? parts.heartbeats.during(call.exchange, answering) : answering);
    } catch (failure) {
      throw parts.ending.aborted && !call.signal.aborted ? cutShort(failure) : failure;
    }
  };
}

function dispatch(call: McpCall, ctx: McpContext, parts: DispatchParts): Reply | Promise<Reply> {
  const { lists, capability } = CALL_METHODS.get(call.method) ?? {};
  if (lists) return list(call, lists, ctx);
  if (capability === 'tasks') return parts.tasks.answer(call, ctx, parts);
  switch (call.method) {
    case 'subscriptions/listen':
      return listen(call, ctx, parts);
    case 'resources/subscribe':
      return subscribe(call, destinationOf(call, ctx, parts).target, parts);
    case 'resources/unsubscribe':
      // the session remembers the server that it subscribed at; the URI may lead to another one now, or to none
      return unsubscribe(call);
    default:
      return forward(call, destinationOf(call, ctx, parts), parts);
  }
}

/** Lists come from the catalog of the caller. */
function list(call: McpCall, of: OfferKind, { route }: McpContext): Reply {
  const { view, catalog, isPrivate } = route;
  return { kind: 'list', of, ...pageOf(call, view.lists[of], catalog.version), isPrivate };
}

/** The server that a call goes to. Throws `unknown_target` where nothing of the name is offered, or the failure of a server that never answered. */
function destinationOf(call: McpCall, ctx: McpContext, { upstreams }: DispatchParts): Destination {
  const { target } = ctx;
  const upstream = target && upstreams.get(target.server);
  if (upstream && target.pendingDiscovery) throw upstream.unavailable();
  if (!target || !upstream)
    throw new GatewayError(
      'unknown_target',
      `Nothing of this name is offered: ${excerpt(ctx.requested ?? call.method)}`,
    );
  return { target, upstream, traits: ctx.route.traits, ctx };
}

/** Makes the error of a call that the gateway cuts short. It replaces the error that the stop of the server caused. */
function cutShort(cause: unknown): GatewayError {
  const message =
    'The gateway stopped before the server answered. Whether the call took effect is not known; look before you call again.';
  return new GatewayError('gateway_closed', message, { cause });
}
