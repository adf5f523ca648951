// Makes the upstreams, with the parts of the gateway that they use and report to.
import { Deadlines } from '../upstream/mcp/wire/pending.ts';
import { EraStore } from '../upstream/mcp/connect/era-store.ts';
import { TraitStore } from '../upstream/mcp/instances/trait-store.ts';
import type { ConfinedServers } from './confined-servers.ts';
import type { EventLog } from './event-log.ts';
import type { GatewayOptions } from './gateway-options.ts';
import type { Snapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';
import type { Tasks } from './tasks/tasks.ts';
import { Upstreams } from './upstreams.ts';

export interface UpstreamsParts {
  readonly storage: Storage;
  readonly confined: ConfinedServers;
  readonly events: EventLog;
  readonly tasks: Tasks;
  /** The listener of changed offers; called only after `Snapshots` was made. */
  readonly offers: () => Snapshots;
}

/** Makes an upstream for every server of the configuration. Starts none. */
export function openUpstreams(options: GatewayOptions, parts: UpstreamsParts): Upstreams {
  const { config, env, identity, watcher } = options;
  const { storage, confined, events, tasks, offers } = parts;
  const upstreams = new Upstreams({
    client: identity,
    deadlines: new Deadlines(),
    eras: new EraStore(storage.state),
    traits: new TraitStore(storage.state),
    catalog: storage.catalog,
    maxMessageBytes: config.limits.upstreamMessage,
    maxItems: config.limits.items,
    env,
    containment: confined.containment,
    events,
    offers: {
      offerChanged: (key, stored) => offers().offerChanged(key, stored),
      ownerOfferChanged: (server, owner, kinds) => offers().ownerOfferChanged(server, owner, kinds),
    },
    tasks: tasks.registry,
    states: watcher,
  });
  upstreams.apply(config);
  return upstreams;
}
