// Makes the long-lived parts of the gateway, each after the parts that it needs.
import { SeenUris } from '../catalog/seen-uris.ts';
import type { Config } from '../config/config.ts';
import type { Peer } from '../core/call.ts';
import { InFlight } from '../core/in-flight.ts';
import { InFlightMemory } from '../quota/in-flight-memory.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ParkedCalls } from './bridge/parked-calls.ts';
import { RequestStates } from './bridge/request-state.ts';
import { Changes } from './changes.ts';
import { ConfinedServers } from './confined-servers.ts';
import { dispatchMcp, Heartbeats } from './dispatch.ts';
import { buildPipeline } from './pipeline.ts';
import { resolveMcp, unknownMcp } from './resolve.ts';
import { Shutdown } from './shutdown.ts';
import { Snapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';
import { Tasks } from './tasks/tasks.ts';
import { Upstreams } from './upstreams.ts';
import type { Watcher } from './watcher.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** The name and version that servers and clients see. */
  readonly identity: Peer;
  readonly watcher?: Watcher | undefined;
}

export type Parts = ReturnType<typeof composeParts>;

/** Starts nothing: `Gateway.start` connects to the servers. */
export function composeParts(options: GatewayOptions, storage: Storage) {
  const { config, logger, watcher } = options;
  const { audit, keyring, catalog: store, events } = storage;
  const shutdown = new Shutdown();
  const { stopping, ending } = shutdown;
  const changes = new Changes();
  const states = new RequestStates(keyring);
  const confined = new ConfinedServers(options, storage.directory.path);
  const tasks = new Tasks({ keyring, stopping, ending, events });
  const upstreams = new Upstreams(options, { storage, confined, tasks, offers: () => snapshots });
  const snapshots: Snapshots = new Snapshots(config, { upstreams, store, changes });
  const parked = new ParkedCalls({ states, upstreams, stopping });
  const mcp = {
    ...{ snapshots, upstreams, seen: new SeenUris(), states, parked, tasks, changes, stopping, ending },
    heartbeats: new Heartbeats(),
  };
  const kinds = { mcp: { resolve: resolveMcp(mcp), dispatch: dispatchMcp(mcp), unknown: unknownMcp } };
  const handle = buildPipeline({ logger, audit, memory: new InFlightMemory(), watcher, stopping, kinds });
  const inFlight = new InFlight();
  return {
    logger,
    watcher,
    storage,
    events,
    shutdown,
    changes,
    confined,
    tasks,
    upstreams,
    snapshots,
    handle,
    inFlight,
  };
}
