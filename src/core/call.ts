// A Call: one unit of work on its way through the pipeline, complete and frozen from its creation.
import type { CancelSignal } from './cancellation.ts';
import type { ClientSession, Exchange } from './exchange.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Principal } from './principal.ts';

/** `legacy`: revisions 2024-11-05 … 2025-11-25 (initialize, sessions); `modern`: 2026-07-28 (stateless). */
export type Era = 'legacy' | 'modern';

export type Transport = 'streamable-http' | 'sse' | 'stdio';

/** The kinds of things that a server offers. */
export const OFFER_KINDS = ['tool', 'prompt', 'resource', 'resourceTemplate'] as const;
export type OfferKind = (typeof OFFER_KINDS)[number];

/** What a call is for, for example a tool of a server, as the resolve stage finds it. */
export interface Target {
  /** The kind of thing: an `OfferKind` in MCP calls. Policy has its rules by kind. */
  readonly kind: string;
  readonly server: string;
  /** The name (or URI) as the caller knows it. */
  readonly exposed: string;
  /** The name (or URI) as the server knows it. */
  readonly original: string;
  /** Its server has never answered, so the gateway does not know whether it offers this. */
  readonly pendingDiscovery?: true;
}

/** A task at a server, as the sealed task id of its caller says. */
export interface TaskRef {
  /** As the caller knows it. */
  readonly id: string;
  /**
   * `modern`: of a modern server, for a modern caller; `legacy`: of a legacy server, for a legacy caller; `bridged`: of a legacy server, for
   * a modern caller.
   */
  readonly kind: 'modern' | 'legacy' | 'bridged';
  /** As the server knows it. */
  readonly upstreamId: string;
  /** The instance that created it; no instance of an earlier run of the gateway exists any more. */
  readonly instance: string;
  /** The time of its creation as its server says: distinguishes it from another task with the same id. */
  readonly createdAt?: string | undefined;
  /** The tool that runs as the task. */
  readonly target: Target;
}

/** W3C Trace Context of the call: the trace, the gateway's span, and the state to pass on. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
  readonly state?: string | undefined;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
}

/** The endpoint that received a call: `/mcp` (all servers), `/mcp/s/NAME` (one server), `/mcp/p/NAME` (a profile). */
export interface Endpoint {
  readonly kind: 'all' | 'server' | 'profile';
  readonly name?: string;
}

/** The endpoint `/mcp`. */
export const ALL_SERVERS: Endpoint = Object.freeze({ kind: 'all' });

/** The one server of `/mcp/s/NAME`; undefined for other endpoints. */
export function serverOf({ kind, name }: Endpoint): string | undefined {
  return kind === 'server' ? name : undefined;
}

export function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.kind === other.kind && one.name === other.name;
}

/** The facts about a caller that a rule of policy may read. */
export interface CallerFacts {
  readonly principal: Principal;
  readonly endpoint: Endpoint;
  readonly client?: Peer | undefined;
  readonly address?: string | undefined;
}

/** The protocol of a call: an era of MCP, or another dialect, over a transport. The record has it unchanged. */
export type Via =
  { readonly era: Era; readonly transport: Transport } | { readonly dialect: string; readonly transport: string };

/** One unit of work on its way through the pipeline, of any kind. Its CallContext has what the stages find. */
export interface Call extends CallerFacts {
  readonly id: string;
  /** The kind of call: the pipeline resolves and dispatches each kind by its own row of a table. */
  readonly kind: string;
  /** The action, as policy and the record name it, for example `tools/call`. */
  readonly action: string;
  /** The arguments; the record keeps their shape. */
  readonly args?: JsonValue | undefined;
  readonly trace: TraceContext;
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number;
  /** Size of the caller's message in bytes. */
  readonly bytes: number;
  /** The memory that the message takes, in bytes. */
  readonly heldBytes: number;
  /** Aborted when the caller cancels. */
  readonly signal: CancelSignal;
  readonly via: Via;
  /** The id of the call on whose behalf this call is made, by the same principal. The gateway also finishes it while it stops. */
  readonly parent?: string | undefined;
}

/** A request of an MCP client. */
export interface McpCall extends Call {
  readonly kind: 'mcp';
  readonly method: string;
  /** As the caller sent them, without the protocol's keys in `_meta`, which are hop by hop. */
  readonly params: JsonObject;
  readonly era: Era;
  /** The protocol revision that the caller speaks. */
  readonly revision: string;
  /** The legacy session that the call belongs to. */
  readonly session?: ClientSession | undefined;
  /** The `Mcp-Param-*` headers of the request (2026-07-28 streamable-http, Custom Headers); the resolve stage checks them. */
  readonly paramHeaders?: Readonly<Record<string, string>> | undefined;
  readonly exchange: Exchange;
}
