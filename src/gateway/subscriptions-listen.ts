// `subscriptions/listen`: a call that stays open and tells what changed (patterns/subscriptions).
import { setTimeout as delay } from 'node:timers/promises';
import { type McpCall, type OfferKind, serverOf, type Target } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { Reply } from '../core/reply.ts';
import { type CallerFacts, ownerKeys } from '../upstream/mcp/instances/affinity.ts';
import type { Follower } from '../upstream/mcp/offer/resource-subscriptions.ts';
import type { DispatchParts } from './dispatch-parts.ts';
import { type McpContext, uriOptions } from './resolve.ts';
import type { Snapshots } from './snapshots.ts';
import { follow } from './subscribe.ts';

/** How long the acknowledgement waits for servers to take subscriptions. */
const ACKNOWLEDGE_MS = 2_000;

/** Most resources that one listener may follow. */
const MAX_URIS = 1_000;

const LIST_FILTERS: readonly { filter: string; method: string; kinds: readonly OfferKind[] }[] = [
  { filter: 'toolsListChanged', method: 'notifications/tools/list_changed', kinds: ['tool'] },
  { filter: 'promptsListChanged', method: 'notifications/prompts/list_changed', kinds: ['prompt'] },
  {
    filter: 'resourcesListChanged',
    method: 'notifications/resources/list_changed',
    kinds: ['resource', 'resourceTemplate'],
  },
];

/** The notification that tells of a change to lists of these kinds. */
export function listChangedMethods(kinds: ReadonlySet<OfferKind>): string[] {
  return LIST_FILTERS.filter((entry) => entry.kinds.some((kind) => kinds.has(kind))).map((entry) => entry.method);
}

/** Acknowledges what is honoured, tells of it until the caller leaves, and ends well when the gateway stops. */
export async function listen(call: McpCall, ctx: McpContext, parts: DispatchParts): Promise<Reply> {
  const wanted = isObject(call.params.notifications) ? call.params.notifications : {};
  const lists = LIST_FILTERS.filter((entry) => wanted[entry.filter] === true);
  const targets = resourcesOf(wanted.resourceSubscriptions, call, { ctx, parts });
  const tasks = parts.tasks.subscribe(wanted.taskIds, call, { ctx, parts });
  const { exchange } = call;
  const scope = serverOf(call.endpoint);
  const hearing = new Hearing(call, parts.snapshots);
  const end = Promise.withResolvers<'left' | 'stopping'>();
  const leave = () => end.resolve('left');
  const stop = () => end.resolve('stopping');
  const takeBack = [exchange.signal.onAbort(leave), parts.stopping.onAbort(stop)];
  const [kept, keptTasks] = await Promise.all([followed(targets, hearing, parts), tasks.subscribe()]);
  exchange.notify('notifications/subscriptions/acknowledged', {
    notifications: { ...honoured(lists, kept), ...(keptTasks.length > 0 && { taskIds: keptTasks }) },
  });
  hearing.begin();
  tasks.begin((task) => exchange.notify('notifications/tasks', task));
  const unsubscribe = parts.changes.subscribe(
    {
      listsChanged: (server, kinds) => {
        if (scope !== undefined && scope !== server) return;
        for (const entry of lists) if (entry.kinds.some((kind) => kinds.has(kind))) exchange.notify(entry.method, {});
      },
    },
    ownerKeys(call),
  );
  try {
    if ((await end.promise) === 'left') throw new GatewayError('cancelled', 'The caller stopped listening.');
    return { kind: 'result', result: { resultType: 'complete' } };
  } finally {
    unsubscribe();
    tasks.end();
    for (const back of takeBack) back();
    for (const { server, original } of targets) parts.upstreams.get(server)?.followed.unfollow(original, hearing.key);
  }
}

/** The listener as one who follows resources: what changes before the acknowledgement is told after it, which must come first. */
class Hearing implements Follower {
  readonly key: string;
  readonly caller: CallerFacts;
  private readonly call: McpCall;
  private readonly snapshots: Snapshots;
  private early: Set<string> | undefined = new Set();

  constructor(call: McpCall, snapshots: Snapshots) {
    this.key = call.id;
    this.caller = { principal: call.principal, exchange: call.exchange };
    this.call = call;
    this.snapshots = snapshots;
  }

  mayHear(server: string, original: string): boolean {
    return this.snapshots.permits(this.call, { kind: 'resource', server, original });
  }

  updated(uri: string): void {
    if (!this.early) this.call.exchange.notify('notifications/resources/updated', { uri });
    else if (this.early.size < MAX_URIS) this.early.add(uri);
  }

  begin(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const uri of early) this.updated(uri);
  }
}

interface Asked {
  readonly ctx: McpContext;
  readonly parts: DispatchParts;
}

/**
 * Follows resources and returns those that are: what a server refuses is left out of the acknowledgement. One that is slow to answer is
 * not waited for; its subscription stands, and is made again whenever it is connected.
 */
async function followed(targets: readonly Target[], follower: Follower, parts: DispatchParts): Promise<Target[]> {
  if (targets.length === 0) return [];
  const refused = new Set<Target>();
  const asked = targets.map(async (target) => {
    try {
      await follow(target, follower, { parts, signal: follower.caller.exchange.signal });
    } catch {
      refused.add(target);
    }
  });
  await Promise.race([Promise.all(asked), delay(ACKNOWLEDGE_MS, undefined, { ref: false })]);
  return targets.filter((target) => !refused.has(target));
}

function honoured(lists: readonly { filter: string }[], targets: readonly Target[]): JsonObject {
  return {
    ...Object.fromEntries(lists.map((entry) => [entry.filter, true])),
    ...(targets.length > 0 && { resourceSubscriptions: targets.map((target) => target.exposed) }),
  };
}

/** The resources that exist and that the caller may see; the others are left out of the acknowledgement. */
function resourcesOf(uris: unknown, call: McpCall, { ctx, parts }: Asked): Target[] {
  if (!Array.isArray(uris)) return [];
  const options = uriOptions(call, ctx, parts);
  return [...new Set(uris)]
    .slice(0, MAX_URIS)
    .map((uri) => (typeof uri === 'string' ? ctx.route.view.findUri(uri, options) : undefined))
    .filter((target): target is Target => target !== undefined && options.permits(target));
}
