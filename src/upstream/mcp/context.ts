// What every upstream gets from the gateway: stores, listeners, limits and containment.
import type { CatalogStore, StoredOffer } from '../../catalog/store.ts';
import type { OfferKind, Peer } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { EraKey } from '../../storage/server-key.ts';
import type { LearnedStore } from './learned-store.ts';
import type { Containment } from './process/containment/containment.ts';
import type { Deadlines } from './wire/pending.ts';

/** What upstreams write into the audit log beside calls. */
export type UpstreamEvent =
  | `server_${'started' | 'ended' | 'failed' | 'isolated' | 'bridged'}`
  | `spare_${'started' | 'ended'}`
  | 'circuit_opened'
  | 'calls_gave_way';

export interface EventRecorder {
  record(event: UpstreamEvent, detail: JsonObject): void;
}

/** Is notified when lists change that only a single owner, or the callers of one era, are shown. */
export interface OwnerOfferListener {
  /** What they are offered began or ceased to differ from what the server offers everybody else. */
  ownerOfferChanged(server: string, audience: string, kinds: readonly OfferKind[]): void;
}

/** Is notified when the offer of a server changes. */
export interface OfferListener extends OwnerOfferListener {
  /** A server's offer in one era was read, and differs from the one before in these kinds of entries. */
  offerChanged(key: EraKey, stored: StoredOffer, kinds: readonly OfferKind[]): void;
}

/** A task at a legacy server. */
export interface ServerTask {
  readonly server: string;
  /** The instance that works on it. */
  readonly instance: string;
  readonly task: string;
}

/** Is notified of the tasks of legacy servers, and finds callers for their requests. */
export interface TaskListener {
  /** The server reports a new state of a task. */
  notified(server: string, instance: string, task: JsonObject): void;
  /** Finds a caller who answers for a task; waits where one may come. Undefined where nobody follows the task. */
  asker(task: ServerTask, signal: CancelSignal): Promise<Exchange | undefined>;
  /** An instance ended, and with it the tasks that it worked on. */
  lost(server: string, instance: string): void;
}

/** Is notified when a server enters another state. */
export interface StateListener {
  serverChanged(server: string): void;
}

/** Numbers the starts of servers. */
export interface InstanceIds {
  /** `NAME#N` for the next start of a server: never the same twice in one run, even if its entry is replaced. */
  next(server: string): string;
}

export interface UpstreamContext {
  /** The gateway's name and version for handshakes. */
  readonly client: Peer;
  readonly deadlines: Deadlines;
  readonly maxMessageBytes: number;
  readonly maxItems: number;
  /** The gateway's own environment, of which a process gets a part. */
  readonly env: NodeJS.ProcessEnv;
  /** The containment to start processes in. */
  readonly containment: () => Promise<Containment>;
  readonly learned: LearnedStore;
  readonly catalog: CatalogStore;
  readonly instanceIds: InstanceIds;
  readonly events: EventRecorder;
  readonly offers: OfferListener;
  readonly tasks: TaskListener;
  readonly states: StateListener | undefined;
}
