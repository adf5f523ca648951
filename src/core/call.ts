// A Call: one unit of work on its way through the pipeline, complete and frozen at birth.
import type { ClientSession, Exchange } from './exchange.ts';
import type { JsonObject } from './json.ts';
import type { Principal } from './principal.ts';

/** `legacy`: revisions 2024-11-05 … 2025-11-25 (initialize, sessions); `modern`: 2026-07-28 (stateless). */
export type Era = 'legacy' | 'modern';

export type Transport = 'streamable-http' | 'sse' | 'stdio';

/** The kinds of things a server offers. */
export const OFFER_KINDS = ['tool', 'prompt', 'resource', 'resourceTemplate'] as const;
export type OfferKind = (typeof OFFER_KINDS)[number];

/** Where a call goes: resolved by the catalog when the call is built. */
export interface Target {
  readonly kind: OfferKind;
  readonly server: string;
  /** The name (or URI) as the caller knows it. */
  readonly exposed: string;
  /** The name (or URI) as the server knows it. */
  readonly original: string;
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

export interface Call {
  readonly id: string;
  readonly method: string;
  /** As the caller sent them, without protocol keys of its hop. */
  readonly params: JsonObject;
  /** Absent on lists, and when nothing of that name is offered. */
  readonly target?: Target;
  /** Where the name would lead: its server has never answered, so it is not known whether it is offered there. */
  readonly pendingDiscovery?: Target;
  /** The task that the call is about. */
  readonly task?: TaskRef;
  /** What the caller named: a tool, a prompt, a URI. */
  readonly requested?: string;
  /** The one server of `/mcp/s/NAME`. */
  readonly scope?: string;
  readonly principal: Principal;
  readonly client?: Peer;
  readonly address?: string;
  readonly era: Era;
  /** The protocol revision that the caller speaks. */
  readonly revision: string;
  readonly transport: Transport;
  /** The legacy session that the call belongs to. */
  readonly session?: ClientSession;
  readonly trace: TraceContext;
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number;
  /** Size of the caller's message in bytes. */
  readonly bytes: number;
  /** `Mcp-Param-*` headers that no schema names: to be forwarded (2026-07-28 streamable-http, Custom Headers). */
  readonly paramHeaders?: Readonly<Record<string, string>>;
  readonly exchange: Exchange;
}
