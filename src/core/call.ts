// A Call: one unit of work on its way through the pipeline, complete and frozen at birth.
import type { CancelSignal } from './cancellation.ts';
import type { ClientSession, Exchange } from './exchange.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Principal } from './principal.ts';

/** `legacy`: revisions 2024-11-05 … 2025-11-25 (initialize, sessions); `modern`: 2026-07-28 (stateless). */
export type Era = 'legacy' | 'modern';

export type Transport = 'streamable-http' | 'sse' | 'stdio';

/** The kinds of things a server offers. */
export const OFFER_KINDS = ['tool', 'prompt', 'resource', 'resourceTemplate'] as const;
export type OfferKind = (typeof OFFER_KINDS)[number];

/** Where a call goes, as the caller's catalog resolves it. */
export interface Target {
  readonly kind: OfferKind;
  readonly server: string;
  /** The name (or URI) as the caller knows it. */
  readonly exposed: string;
  /** The name (or URI) as the server knows it. */
  readonly original: string;
  /** Its server has never answered, so nobody knows whether it offers this. */
  readonly pendingDiscovery?: true;
}

/** A task at a server, as the sealed id that its caller has tells it. */
export interface TaskRef {
  /** As the caller knows it. */
  readonly id: string;
  /**
   * `modern`: of a server of 2026-07-28, for whoever speaks that; `legacy`: of an older server, for a legacy caller; `bridged`: of an older
   * server, for a modern caller.
   */
  readonly kind: 'modern' | 'legacy' | 'bridged';
  /** As the server knows it. */
  readonly upstreamId: string;
  /** The instance that made it; of an earlier run of the gateway none is left. */
  readonly instance: string;
  /** When its server says that it made it: tells it from another one to which a server gives the same id. */
  readonly createdAt?: string | undefined;
  /** The tool that runs as the task. */
  readonly target: Target;
}

/** W3C Trace Context of the call: the trace, our span, and what to pass on. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
  readonly state?: string;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
}

/** Where a call came in: `/mcp` (all servers), `/mcp/s/NAME` (one server), `/mcp/p/NAME` (a profile). */
export interface Endpoint {
  readonly kind: 'all' | 'server' | 'profile';
  readonly name?: string;
}

/** The endpoint of everything that the gateway offers. */
export const ALL_SERVERS: Endpoint = Object.freeze({ kind: 'all' });

/** The one server of `/mcp/s/NAME`; undefined for other endpoints. */
export function serverOf({ kind, name }: Endpoint): string | undefined {
  return kind === 'server' ? name : undefined;
}

export function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.kind === other.kind && one.name === other.name;
}

/** What is known of a caller: all that a rule of policy may read. */
export interface CallerFacts {
  readonly principal: Principal;
  readonly endpoint: Endpoint;
  readonly client?: Peer;
  readonly address?: string;
}

/** How a call came in: an era of MCP, or another dialect, over a transport. Stands in the record as it is. */
export type Via =
  { readonly era: Era; readonly transport: Transport } | { readonly dialect: string; readonly transport: string };

/** One unit of work on its way through the pipeline, whatever its kind. What the stages find out stands in its CallContext. */
export interface Call extends CallerFacts {
  readonly id: string;
  /** Which kind of call it is: the pipeline resolves and dispatches each kind by its own row of the table. */
  readonly kind: string;
  /** What the caller wants to do, as policy and the record name it: `tools/call`, for example. */
  readonly action: string;
  /** The arguments, of which the record keeps the structure. */
  readonly args?: JsonValue;
  readonly trace: TraceContext;
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number;
  /** Size of the caller's message in bytes. */
  readonly bytes: number;
  /** What the message holds in memory, in bytes. */
  readonly heldBytes: number;
  /** Aborted when the caller cancels. */
  readonly signal: CancelSignal;
  readonly via: Via;
  /** The call on whose behalf this one is made, by the same principal: it runs to its end also while the gateway stops. */
  readonly parent?: string;
}

/** A request of an MCP client. */
export interface McpCall extends Call {
  readonly kind: 'mcp';
  readonly method: string;
  /** As the caller sent them, without protocol keys of its hop. */
  readonly params: JsonObject;
  readonly era: Era;
  /** The protocol revision that the caller speaks. */
  readonly revision: string;
  /** The legacy session that the call belongs to. */
  readonly session?: ClientSession;
  /** The `Mcp-Param-*` headers of the request (2026-07-28 streamable-http, Custom Headers); they are checked when the tool is known. */
  readonly paramHeaders?: Readonly<Record<string, string>>;
  readonly exchange: Exchange;
}
