// Subscribes callers to resources, at the server that has the resource, also while a reload replaces that server.
import type { McpCall, Target } from '../core/call.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { Reply } from '../core/reply.ts';
import type { Follower } from '../upstream/mcp/offer/resource-subscriptions.ts';
import type { DispatchParts } from './dispatch-parts.ts';

/** Subscribes to a resource at its server. Throws GatewayError where the server refuses the subscription, or the caller cancels. */
export async function subscribeTo(
  { server, original: uri }: Target,
  follower: Follower,
  { parts, signal }: { parts: DispatchParts; signal: CancelSignal },
): Promise<void> {
  for (let upstream = parts.upstreams.get(server); upstream;) {
    const asked = upstream;
    try {
      await asked.followed.follow({ uri, follower }, signal);
    } catch (error) {
      // the server that replaced it may have taken over this subscription with all others
      if (parts.upstreams.get(server) !== asked) parts.upstreams.get(server)?.followed.unfollow(uri, follower.key);
      throw error;
    }
    upstream = parts.upstreams.get(server);
    if (upstream === asked) return;
  }
}

/** Answers `resources/subscribe`. The subscription lasts until the session unsubscribes or ends. Throws `overloaded` where the session has too many. */
export async function subscribe(call: McpCall, target: Target, parts: DispatchParts): Promise<Reply> {
  call.session?.requireRoomFor(target.exposed);
  await subscribeTo(target, followerOf(call, parts), { parts, signal: call.signal });
  call.session?.setSubscription(target.exposed, target.server);
  return { kind: 'result', result: {} };
}

/** Answers `resources/unsubscribe`; without a subscription it does nothing. */
export function unsubscribe({ session, params: { uri } }: McpCall): Reply {
  if (typeof uri === 'string') session?.setSubscription(uri, undefined);
  return { kind: 'result', result: {} };
}

function followerOf(call: McpCall, parts: DispatchParts): Follower {
  const { id, principal, session, exchange } = call;
  const standing = session?.standing ?? exchange;
  return {
    key: session?.key ?? id,
    // a reload may have changed the policy since the caller subscribed
    mayHear: (server, original) => parts.snapshots.permits(call, { kind: 'resource', server, original }),
    caller: { principal, ...(session && { session }), exchange: standing },
    updated: (uri) => standing.notify('notifications/resources/updated', { uri }),
  };
}
