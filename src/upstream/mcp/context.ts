// What servers have of the gateway: what they are connected with, and whom they tell.
import type { StoredOffer } from '../../catalog/store.ts';
import type { OfferKind } from '../../core/call.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ConnectContext } from './connect/connect.ts';
import type { InstanceEvent } from './instances/instance.ts';
import type { TraitStore } from './instances/trait-store.ts';

export interface UpstreamContext extends ConnectContext {
  readonly traits: TraitStore;
  /** `NAME#N`: the next start of a server; never the same twice in one run, whatever becomes of its configuration. */
  nextInstance(server: string): string;
  /** The offer was read, or changed. */
  onOffer(server: string, stored: StoredOffer): void;
  /** What one owner's instances offer differs from now on, or no longer differs, from what everybody else is offered. */
  onOwnOffer(server: string, owner: string, kinds: readonly OfferKind[]): void;
  /** A legacy server says that a task changed. */
  onTask(server: string, instance: string, task: JsonObject): void;
  /** Whoever can be asked on behalf of a task of this instance; undefined where nobody follows it. Waits where somebody may come. */
  askerOfTask(
    task: { server: string; instance: string; task: string },
    signal: CancelSignal,
  ): Promise<Exchange | undefined>;
  /** An instance is gone, and with it whatever it alone had. */
  onLost(server: string, instance: string): void;
  /** A server is in another state: idle, connecting, ready, waiting. */
  onState(server: string): void;
  /** Something for the record. */
  onEvent(event: InstanceEvent | 'server_isolated' | 'circuit_opened' | 'calls_gave_way', detail: JsonObject): void;
}
