// Version 1 of the audit record: the fields of its three kinds, and how a call and its settlement become records.
import { type Call, type Era, type Peer, serverOf, type Transport, type Via } from '../core/call.ts';
import type { CallContext } from '../core/call-context.ts';
import { type Decision, UNDECIDED } from '../core/decision.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { Principal } from '../core/principal.ts';
import type { Settlement, Status } from '../core/settlement.ts';
import { shapeOf } from './shape.ts';

/** Era and transport of one side of the gateway. */
export interface Wire {
  readonly era: Era;
  readonly transport: Transport;
}

/** Committed before the gateway sends the first byte to the server. The stored bytes leave out absent fields. */
export interface IntentRecord {
  readonly kind: 'intent';
  /** UTC, milliseconds. */
  readonly time: number;
  readonly call: string;
  /** Trace and span of W3C Trace Context, joined by a hyphen. */
  readonly trace: string;
  readonly principal: Principal;
  readonly client?: Peer | undefined;
  readonly address?: string | undefined;
  readonly method: string;
  readonly exposed?: string | undefined;
  readonly original?: string | undefined;
  readonly server?: string | undefined;
  readonly downstream: Via;
  readonly decision: Decision;
  /** Size of the caller's message in bytes. */
  readonly requestBytes: number;
  /** Structure of the arguments, without their values. */
  readonly shape?: JsonValue | undefined;
  /** Hash of the configuration in force. */
  readonly config: string;
}

/** Committed before the gateway sends the last frame to the caller. */
export interface OutcomeRecord {
  readonly kind: 'outcome';
  readonly time: number;
  readonly call: string;
  /** Milliseconds on the monotonic clock; absent where the process that began the call did not write its outcome. */
  readonly duration?: number | undefined;
  readonly status: Status;
  /** Code of the gateway's error, or of the server's JSON-RPC error. */
  readonly error?: string | undefined;
  readonly instance?: string | undefined;
  readonly upstream?: Wire | undefined;
  /** Size of the server's message in bytes. */
  readonly responseBytes?: number | undefined;
}

/** Something that happened beside calls: start, stop, reload, a failed authentication, a server started. */
export interface EventRecord {
  readonly kind: 'event';
  readonly time: number;
  readonly event: string;
  readonly detail: JsonObject;
}

/** The event that every segment begins with; its detail lists all calls in flight. */
export const SEGMENT_STARTED = 'segment_started';

export type AuditRecord = IntentRecord | OutcomeRecord | EventRecord;

/** The intent of a call that is about to be dispatched, or was refused. */
export function intentOf(call: Call, { target, requested, decision = UNDECIDED, rules }: CallContext): IntentRecord {
  return {
    kind: 'intent',
    time: Date.now(),
    call: call.id,
    trace: `${call.trace.traceId}-${call.trace.spanId}`,
    principal: call.principal,
    client: call.client,
    address: call.address,
    method: call.action,
    exposed: target?.exposed ?? requested,
    original: target?.original,
    server: target?.server ?? serverOf(call.endpoint),
    downstream: call.via,
    decision,
    requestBytes: call.bytes,
    shape: call.args === undefined ? undefined : shapeOf(call.args),
    config: rules.config,
  };
}

/** The outcome of a settled call. */
export function outcomeOf(call: Call, { status, reply, failure, origin }: Settlement): OutcomeRecord {
  return {
    kind: 'outcome',
    time: Date.now(),
    call: call.id,
    duration: performance.now() - call.startedAt,
    status,
    error: failure ? failure.code : reply?.kind === 'error' ? String(reply.error.code) : undefined,
    instance: origin?.instance,
    upstream: origin && { era: origin.era, transport: origin.transport },
    responseBytes: failure ? undefined : origin?.bytes,
  };
}

/** The record of an event. */
export function eventOf(event: string, detail: JsonObject = {}): EventRecord {
  return { kind: 'event', time: Date.now(), event, detail };
}
