// The offer of one server: its capabilities and definitions as the gateway last read them.
import type { OfferKind, Peer } from '../core/call.ts';
import type { JsonObject } from '../core/json.ts';

export interface ServerOffer {
  readonly capabilities: JsonObject;
  readonly serverInfo?: Peer;
  readonly instructions?: string;
  /** Whether the server says that its lists are private (2026-07-28 server/utilities/caching, Cache Scope Field). */
  readonly private?: true;
  readonly entries: Readonly<Record<OfferKind, readonly JsonObject[]>>;
}

/** The offer of a server that the gateway has never read. */
export const EMPTY_OFFER: ServerOffer = Object.freeze({
  capabilities: {},
  entries: Object.freeze({ tool: [], prompt: [], resource: [], resourceTemplate: [] }),
});
