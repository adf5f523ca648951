// What the end of the pipeline needs of the gateway, and nothing more of it.
import type { Catalog } from '../catalog/catalog.ts';
import type { SeenUris } from '../catalog/seen-uris.ts';
import type { Target } from '../core/call.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { CallerFacts } from '../upstream/mcp/instances/affinity.ts';
import type { Upstream } from '../upstream/mcp/upstream.ts';
import type { ParkedCalls } from './bridge/parked-calls.ts';
import type { RequestStates } from './bridge/request-state.ts';
import type { Tasks } from './tasks/tasks.ts';
import type { Changes } from './changes.ts';

export interface DispatchParts {
  /** What the caller is offered. */
  readonly catalog: (caller: CallerFacts) => Catalog;
  readonly upstream: (name: string) => Upstream | undefined;
  readonly seen: SeenUris;
  readonly states: RequestStates;
  readonly parked: ParkedCalls;
  readonly tasks: Tasks;
  readonly changes: Changes;
  /** Whether the thing may be used: what a listener may hear of. */
  readonly permits: (target: Target) => boolean;
  /** The same under the policy in force when it is asked, for what goes on for long. */
  readonly allowedAtDelivery: (target: Target) => boolean;
  /** Resolves when what may be new at the servers (at one of them) has had its chance to be known (wire.md: at most 2 s). */
  readonly upToDate: (scope: string | undefined) => Promise<void> | undefined;
  /** Whether what is listed differs from caller to caller. */
  readonly perCallerLists: () => boolean;
  /** Aborted when the gateway stops: standing calls end well then. */
  readonly stopping: CancelSignal;
  /** Aborted when the gateway stops and does not wait any longer: every call that is left ends now. */
  readonly ending: CancelSignal;
}
