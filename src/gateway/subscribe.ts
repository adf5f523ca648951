// Following a resource at the server that has it, which may be replaced by another of the same name meanwhile.
import type { McpCall, Target } from '../core/call.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { Reply } from '../core/reply.ts';
import type { Follower } from '../upstream/mcp/offer/resource-subscriptions.ts';
import type { DispatchParts } from './dispatch-parts.ts';

/** Tells the follower of changes from now on. Throws GatewayError where the server refuses it, or the caller gives up. */
export async function follow(
  { server, original: uri }: Target,
  follower: Follower,
  { parts, signal }: { parts: DispatchParts; signal: CancelSignal },
): Promise<void> {
  for (let upstream = parts.upstreams.get(server); upstream;) {
    const asked = upstream;
    try {
      await asked.followed.follow({ uri, follower }, signal);
    } catch (error) {
      // it may have been handed over with everything else that was followed there
      if (parts.upstreams.get(server) !== asked) parts.upstreams.get(server)?.followed.unfollow(uri, follower.key);
      throw error;
    }
    upstream = parts.upstreams.get(server);
    if (upstream === asked) return;
  }
}

/** `resources/subscribe`: a session is subscribed until it unsubscribes, or ends. Throws `overloaded` where it has as many as it may. */
export async function subscribe(call: McpCall, target: Target, parts: DispatchParts): Promise<Reply> {
  call.session?.requireRoomFor(target.exposed);
  await follow(target, followerOf(call, parts), { parts, signal: call.signal });
  call.session?.setSubscription(target.exposed, target.server);
  return { kind: 'result', result: {} };
}

/** `resources/unsubscribe`: what its session subscribed to nowhere is no error. */
export function unsubscribe({ session, params: { uri } }: McpCall): Reply {
  if (typeof uri === 'string') session?.setSubscription(uri, undefined);
  return { kind: 'result', result: {} };
}

function followerOf(call: McpCall, parts: DispatchParts): Follower {
  const { id, principal, session, exchange } = call;
  const standing = session?.standing ?? exchange;
  return {
    key: session?.key ?? id,
    // the policy in force may be another than the one under which the caller subscribed
    mayHear: (server, original) => parts.snapshots.permits(call, { kind: 'resource', server, original }),
    caller: { principal, ...(session && { session }), exchange: standing },
    updated: (uri) => standing.notify('notifications/resources/updated', { uri }),
  };
}
