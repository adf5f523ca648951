// The parts of the gateway that the dispatch of MCP calls uses.
import type { SeenUris } from '../catalog/seen-uris.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { ParkedCalls } from './bridge/parked-calls.ts';
import type { RequestStates } from './bridge/request-state.ts';
import type { Changes } from './changes.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Snapshots } from './snapshots.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Upstreams } from './upstreams.ts';

export interface DispatchParts {
  readonly snapshots: Snapshots;
  readonly upstreams: Upstreams;
  readonly seen: SeenUris;
  readonly states: RequestStates;
  readonly parked: ParkedCalls;
  readonly tasks: Tasks;
  readonly changes: Changes;
  readonly heartbeats: Heartbeats;
  /** Aborted when the gateway stops: listeners then get their result. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and no longer waits for calls in flight. */
  readonly ending: CancelSignal;
}
