// Following a resource at the server that has it, which may be replaced by another of the same name meanwhile.
import type { Call, Target } from '../core/call.ts';
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
  for (let upstream = parts.upstream(server); upstream;) {
    const asked = upstream;
    try {
      await asked.followed.follow({ uri, follower }, signal);
    } catch (error) {
      // it may have been handed over with everything else that was followed there
      if (parts.upstream(server) !== asked) parts.upstream(server)?.followed.unfollow(uri, follower.key);
      throw error;
    }
    upstream = parts.upstream(server);
    if (upstream === asked) return;
  }
}

/** `resources/subscribe`: a session follows until it lets go, or ends. */
export async function subscribe(call: Call, target: Target, parts: DispatchParts): Promise<Reply> {
  await follow(target, followerOf(call), { parts, signal: call.exchange.signal });
  return { kind: 'result', result: {} };
}

function followerOf({ id, principal, session, exchange }: Call): Follower {
  const standing = session?.standing ?? exchange;
  return {
    key: session?.key ?? id,
    caller: { principal, ...(session && { session }), exchange: standing },
    updated: (uri) => standing.notify('notifications/resources/updated', { uri }),
  };
}
