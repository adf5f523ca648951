// Version 1 of the audit record: what its three kinds carry, and how calls and replies become records.
import type { Call, Era, Peer, Transport } from '../core/call.ts';
import type { Decision } from '../core/decision.ts';
import { ERRORS, toGatewayError, type GatewayError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { Principal } from '../core/principal.ts';
import type { Origin, Reply } from '../core/reply.ts';
import { shapeOf } from './shape.ts';

/** Every way in which a call can end. `unknown`: it may have taken effect, nobody can tell. */
export const STATUSES = [
  'ok',
  'tool_error',
  'protocol_error',
  'refused',
  'unreachable',
  'timed_out',
  'cancelled',
  'unknown',
] as const;

export type Status = (typeof STATUSES)[number];

/** How one side of the gateway spoke. */
export interface Wire {
  readonly era: Era;
  readonly transport: Transport;
}

/** Committed before the first byte goes to the upstream. Absent fields are left out of the stored bytes. */
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
  readonly downstream: Wire;
  readonly decision: Decision;
  /** Size of the caller's message in bytes. */
  readonly requestBytes: number;
  /** Structure of the arguments, without their values. */
  readonly shape?: JsonValue | undefined;
  /** Hash of the configuration in force. */
  readonly config: string;
}

/** Committed before the final frame leaves. */
export interface OutcomeRecord {
  readonly kind: 'outcome';
  readonly time: number;
  readonly call: string;
  /** Milliseconds on the monotonic clock; absent when the process that began the call did not see its end. */
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

/** The event that every segment begins with; its detail is as long as the list of calls in flight. */
export const SEGMENT_STARTED = 'segment_started';

export type AuditRecord = IntentRecord | OutcomeRecord | EventRecord;

/** The record of a call that is about to run, or to be refused. */
export function intentOf(call: Call, decision: Decision, config: string): IntentRecord {
  const target = call.target ?? call.pendingDiscovery;
  return {
    kind: 'intent',
    time: Date.now(),
    call: call.id,
    trace: `${call.trace.traceId}-${call.trace.spanId}`,
    principal: call.principal,
    client: call.client,
    address: call.address,
    method: call.method,
    exposed: target?.exposed ?? call.requested,
    original: target?.original,
    server: target?.server ?? call.scope,
    downstream: { era: call.era, transport: call.transport },
    decision,
    requestBytes: call.bytes,
    shape: call.params.arguments === undefined ? undefined : shapeOf(call.params.arguments),
    config,
  };
}

/** The record of a call that was answered. */
export function outcomeOf(call: Call, reply: Reply): OutcomeRecord {
  const error = reply.kind === 'error' ? String(reply.error.code) : undefined;
  return outcome(call, { status: statusOf(reply), error, origin: reply.origin });
}

/** The record of a call that ended with an error of the gateway. */
export function failureOf(call: Call, thrown: unknown): OutcomeRecord {
  const error = toGatewayError(thrown);
  return outcome(call, { status: statusOfError(error), error: error.code });
}

/** The record of something that happened beside calls. */
export function eventOf(event: string, detail: JsonObject = {}): EventRecord {
  return { kind: 'event', time: Date.now(), event, detail };
}

/** How an answered call ended. */
export function statusOf(reply: Reply): Status {
  if (reply.kind === 'error') return 'protocol_error';
  return reply.kind === 'result' && reply.result.isError === true ? 'tool_error' : 'ok';
}

/** How a call ended that an error of the gateway ended. */
export function statusOfError(error: GatewayError): Status {
  switch (error.code) {
    case 'cancelled':
      return 'cancelled';
    case 'upstream_timed_out':
      return 'timed_out';
    case 'upstream_unreachable':
      return 'unreachable';
    case 'upstream_protocol':
    case 'upstream_message_too_large':
    case 'upstream_rejected':
      return 'protocol_error';
    case 'internal':
    case 'gateway_closed':
      // Neither a bug nor the end says anything about whether the call was sent before it struck.
      return 'unknown';
    default:
      return ERRORS[error.code].fault === 'upstream' ? 'unknown' : 'refused';
  }
}

function outcome(
  call: Call,
  end: { status: Status; error: string | undefined; origin?: Origin | undefined },
): OutcomeRecord {
  const { origin } = end;
  return {
    kind: 'outcome',
    time: Date.now(),
    call: call.id,
    duration: performance.now() - call.startedAt,
    status: end.status,
    error: end.error,
    instance: origin?.instance,
    upstream: origin && { era: origin.era, transport: origin.transport },
    responseBytes: origin?.bytes,
  };
}
