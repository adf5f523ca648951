// Subscribes sessions and listeners to resources, also while a reload replaces the server, and answers `subscriptions/listen` (patterns/subscriptions).
import { type McpCall, type OfferKind, serverOf, type Target } from '../core/call.ts';
import { type CancelSignal, within } from '../core/cancellation.ts';
import type { Reply } from '../core/reply.ts';
import type { Follower } from '../upstream/mcp/offer/resource-subscriptions.ts';
import type { UriOptions } from '../catalog/view.ts';
import type { DispatchParts } from './dispatch.ts';
import { followerKey } from './upstreams.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { uriAt } from '../catalog/server-uris.ts';
import { audiencesOf } from '../upstream/mcp/instances/affinity.ts';
import { type McpContext, uriOptions } from './resolve.ts';

/** Subscribes to a resource at its server. Throws GatewayError where the server refuses the subscription, or the caller cancels. */
export async function subscribeTo(
  { server, original: uri }: Target,
  follower: Follower,
  { parts, signal }: { parts: DispatchParts; signal: CancelSignal },
): Promise<void> {
  for (let upstream = parts.upstreams.get(server); upstream;) {
    const asked = upstream;
    try {
      await asked.follow({ uri, follower }, signal);
    } catch (error) {
      // the server that replaced it may have taken over this subscription with all others
      if (parts.upstreams.get(server) !== asked) parts.upstreams.get(server)?.unfollow(uri, follower.key);
      throw error;
    }
    upstream = parts.upstreams.get(server);
    if (upstream === asked) return;
  }
}

/** Answers `resources/subscribe`. The subscription lasts until the session unsubscribes or ends. Throws `overloaded` where the session has too many. */
export async function subscribe(call: McpCall, target: Target, parts: DispatchParts): Promise<Reply> {
  call.session?.requireRoomFor(target.exposed);
  await subscribeTo(target, followerOf(call, target, parts), { parts, signal: call.signal });
  call.session?.setSubscription(target.exposed, target);
  return { kind: 'result', result: {} };
}

/** Answers `resources/unsubscribe`; without a subscription it does nothing. */
export function unsubscribe({ session, params: { uri } }: McpCall): Reply {
  if (typeof uri === 'string') session?.setSubscription(uri, undefined);
  return { kind: 'result', result: {} };
}

/** Who holds the subscriptions of a call: its session, or the listener itself. */
function holderOf({ id, session }: McpCall): string {
  return session?.key ?? id;
}

/** The follower of a resource, which hears of it, and of what is below it, under a URI of the same form as that of its subscription. */
function followerOf(call: McpCall, target: Target, parts: DispatchParts): Follower {
  const { principal, session, exchange } = call;
  const standing = session?.standing ?? exchange;
  const isRenamed = target.exposed !== target.original;
  return {
    key: followerKey(target, holderOf(call)),
    // a reload may have changed the policy since the caller subscribed
    mayHear: (server, original) => parts.snapshots.permits(call, { kind: 'resource', server, original }),
    caller: { principal, era: call.era, ...(session && { session }), exchange: standing },
    updated: (original) => {
      const uri = isRenamed ? uriAt(target.server, original) : original;
      standing.notify('notifications/resources/updated', { uri });
    },
  };
}

const LIST_FILTERS: readonly { filter: string; method: string; kinds: readonly OfferKind[] }[] = [
  { filter: 'toolsListChanged', method: 'notifications/tools/list_changed', kinds: ['tool'] },
  { filter: 'promptsListChanged', method: 'notifications/prompts/list_changed', kinds: ['prompt'] },
  {
    filter: 'resourcesListChanged',
    method: 'notifications/resources/list_changed',
    kinds: ['resource', 'resourceTemplate'],
  },
];

/** The notifications that announce a change to lists of these kinds. */
export function listChangedMethods(kinds: ReadonlySet<OfferKind>): string[] {
  return LIST_FILTERS.filter((entry) => entry.kinds.some((kind) => kinds.has(kind))).map((entry) => entry.method);
}

/** Acknowledges the subscriptions that were granted, and sends their notifications until the caller cancels or the gateway stops. */
export async function listen(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
  const wanted = isObject(call.params.notifications) ? call.params.notifications : {};
  const lists = LIST_FILTERS.filter((entry) => wanted[entry.filter] === true);
  const targets = resourcesOf(wanted.resourceSubscriptions, ctx, uriOptions(call, ctx, parts));
  const tasks = parts.tasks.subscribe(wanted.taskIds, call, { ctx, parts });
  const { exchange } = call;
  const scope = serverOf(call.endpoint);
  // the acknowledgement comes first: the caller hears of earlier changes after it
  let early: Map<string, () => void> | undefined = new Map();
  const subscriberTo = (target: Target): Follower => {
    const follower = followerOf(call, target, parts);
    return {
      ...follower,
      updated: (uri) => {
        if (!early) follower.updated(uri);
        else if (early.size < BOUNDS.listenerResources)
          early.set(`${follower.key}\n${uri}`, () => follower.updated(uri));
      },
    };
  };
  const end = Promise.withResolvers<'cancelled' | 'stopping'>();
  const stopListening = [
    exchange.signal.onAbort(() => end.resolve('cancelled')),
    parts.stopping.onAbort(() => end.resolve('stopping')),
  ];
  const [granted, grantedTasks] = await Promise.all([
    subscribeAll(targets, subscriberTo, { parts, signal: exchange.signal }),
    tasks.subscribe(),
  ]);
  exchange.notify('notifications/subscriptions/acknowledged', {
    notifications: { ...acknowledged(lists, granted), ...(grantedTasks.length > 0 && { taskIds: grantedTasks }) },
  });
  const changed = early;
  early = undefined;
  for (const notify of changed.values()) notify();
  tasks.begin((task) => exchange.notify('notifications/tasks', task));
  const unsubscribe = parts.changes.subscribe(
    {
      caller: call,
      listsChanged: (server, kinds) => {
        if (scope !== undefined && scope !== server) return;
        for (const entry of lists) if (entry.kinds.some((kind) => kinds.has(kind))) exchange.notify(entry.method, {});
      },
    },
    audiencesOf(call),
  );
  try {
    if ((await end.promise) === 'cancelled') throw new GatewayError('cancelled', 'The caller stopped listening.');
    return { kind: 'result', result: { resultType: 'complete' } };
  } finally {
    unsubscribe();
    tasks.end();
    for (const stop of stopListening) stop();
    for (const target of targets) parts.upstreams.unfollow(target, holderOf(call));
  }
}

/**
 * Subscribes to resources, and returns those that no server refused. The subscription at a server that answers late stands, and is made again
 * on each connection to that server.
 */
async function subscribeAll(
  targets: readonly Target[],
  subscriberTo: (target: Target) => Follower,
  options: { readonly parts: DispatchParts; readonly signal: CancelSignal },
): Promise<Target[]> {
  if (targets.length === 0) return [];
  const refused = new Set<Target>();
  const subscribing = targets.map(async (target) => {
    try {
      await subscribeTo(target, subscriberTo(target), options);
    } catch {
      refused.add(target);
    }
  });
  await within(Promise.all(subscribing), BOUNDS.listenAcknowledgement);
  return targets.filter((target) => !refused.has(target));
}

/** The subscriptions as the acknowledgement names them. */
function acknowledged(lists: readonly { filter: string }[], targets: readonly Target[]): JsonObject {
  return {
    ...Object.fromEntries(lists.map((entry) => [entry.filter, true])),
    ...(targets.length > 0 && { resourceSubscriptions: targets.map((target) => target.exposed) }),
  };
}

/** The resources that exist and that policy permits to the caller; the others are left out of the acknowledgement. */
function resourcesOf(uris: unknown, { route }: McpContext, options: UriOptions): Target[] {
  const wanted: unknown[] = Array.isArray(uris) ? [...new Set(uris)].slice(0, BOUNDS.listenerResources) : [];
  return wanted
    .map((uri) => (typeof uri === 'string' ? route.view.findUri(uri, options) : undefined))
    .filter((target) => target !== undefined)
    .filter(options.permits);
}
