// Makes the long-lived parts of the gateway, each after the parts that it needs.
import { SeenUris } from '../catalog/seen-uris.ts';
import { InFlight } from '../core/in-flight.ts';
import { InFlightMemory } from '../quota/in-flight-memory.ts';
import { RequestStates, RetryRounds } from './bridge/request-state.ts';
import { ParkedCalls } from './bridge/parked-calls.ts';
import { Changes } from './changes.ts';
import { ConfinedServers } from './confined-servers.ts';
import { dispatchMcp, Heartbeats } from './dispatch.ts';
import { EventLog } from './event-log.ts';
import { buildPipeline } from './pipeline.ts';
import { resolveMcp } from './resolve.ts';
import { Shutdown } from './shutdown.ts';
import { Snapshots } from './snapshots.ts';
import type { Storage } from './storage.ts';
import { TaskIds } from './tasks/task-ids.ts';
import { Tasks } from './tasks/tasks.ts';
import { openUpstreams } from './upstreams.ts';
import type { Config } from '../config/config.ts';
import type { Peer } from '../core/call.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Watcher } from './watcher.ts';

export type Parts = ReturnType<typeof composeParts>;

/** Starts nothing: `Gateway.start` connects to the servers. */
export function composeParts(options: GatewayOptions, storage: Storage) {
  const { config, logger, watcher } = options;
  const { audit, keyring, catalog: store } = storage;
  const events = new EventLog({ audit, logger, watcher });
  const shutdown = new Shutdown();
  const { stopping, ending } = shutdown;
  const changes = new Changes();
  const seen = new SeenUris();
  const states = new RequestStates(keyring);
  const confined = new ConfinedServers({ config, logger, stateDirectory: storage.directory.path });
  const ids = new TaskIds(keyring);
  const tasks = new Tasks({ ids, stopping, ending, record: (event, detail) => events.record(event, detail) });
  const upstreams = openUpstreams(options, { storage, confined, events, tasks, offers: () => snapshots });
  const snapshots: Snapshots = new Snapshots(config, { upstreams, store, changes });
  const mayAsk = (server: string) => upstreams.get(server)?.mayAsk ?? false;
  const parked = new ParkedCalls({ states, mayAsk, stopping });
  const rounds = new RetryRounds(states);
  const resolve = resolveMcp({ snapshots, upstreams, seen, taskIds: ids, rounds });
  const dispatch = dispatchMcp({
    ...{ snapshots, upstreams, seen, states, parked, tasks, changes, stopping, ending },
    heartbeats: new Heartbeats(),
  });
  const memory = new InFlightMemory();
  const kinds = { mcp: { resolve, dispatch } };
  const handle = buildPipeline({ logger, audit, memory, watcher, stopping, kinds });
  return {
    storage,
    events,
    shutdown,
    changes,
    confined,
    tasks,
    upstreams,
    snapshots,
    handle,
    inFlight: new InFlight(),
  };
}

export interface GatewayOptions {
  readonly config: Config;
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** The name and version that servers and clients see. */
  readonly identity: Peer;
  readonly watcher?: Watcher | undefined;
}
