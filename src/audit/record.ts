// Version 1 of the audit record: what its three kinds hold, how calls become records, and how records become bytes.
import { type Call, type Era, type Peer, serverOf, type Transport, type Via } from '../core/call.ts';
import type { CallContext, Settlement, Status } from '../core/call-context.ts';
import { type Decision, UNDECIDED } from '../core/decision.ts';
import { isObject, type JsonObject, type JsonValue, notesOn, numberOf } from '../core/json.ts';
import type { Principal } from '../core/principal.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';

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

/** Describes a value: `string(12)`, `integer`, `{"array":3,"of":"boolean"}`, an object by its keys. Bounded in depth and keys. */
export function shapeOf(value: JsonValue): JsonValue {
  return describe(value, 1, { keys: BOUNDS.shapeAllKeys });
}

function describe(value: JsonValue, depth: number, left: { keys: number }): JsonValue {
  if (typeof value === 'string') return `string(${value.length})`;
  if (typeof value === 'boolean') return 'boolean';
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    const [first] = value;
    if (first === undefined) return { array: 0 };
    return depth < BOUNDS.shapeDepth
      ? { array: value.length, of: describe(first, depth + 1, left) }
      : { array: value.length };
  }
  if (!isObject(value)) return Number.isInteger(numberOf(value)) ? 'integer' : 'number';
  return depth <= BOUNDS.shapeDepth ? describeObject(value, depth, left) : 'object';
}

function describeObject(object: JsonObject, depth: number, left: { keys: number }): JsonValue {
  const shape: JsonObject = {};
  let seen = 0;
  const noted = notesOn(object)?.keys;
  for (const key of noted?.slice(0, BOUNDS.shapeKeys) ?? Object.keys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    seen += 1;
    if (seen > BOUNDS.shapeKeys || left.keys === 0) continue;
    left.keys -= 1;
    const name = key.length > BOUNDS.shapeKey ? `${key.slice(0, BOUNDS.shapeKey)}…` : key;
    const inner = describe(value, depth + 1, left);
    // an assignment of this key would set the prototype and lose the key
    if (name === '__proto__') Object.defineProperty(shape, name, { value: inner, enumerable: true });
    else shape[name] = inner;
  }
  const shown = Object.keys(shape).length;
  const all = noted?.length ?? seen;
  if (all > shown) shape['…'] = `${all - shown} more`;
  return shape;
}

/**
 * The JSON of a record after its opening brace: the writer puts number, version and link before it. Every record begins with time and
 * kind, and those of a call continue with the call's id: `headOf` relies on that order. Absent fields are left out, and long texts are cut.
 */
export function encodeRecord(record: AuditRecord): string {
  const stored =
    record.kind === 'intent'
      ? storedIntent(record)
      : record.kind === 'outcome'
        ? storedOutcome(record)
        : storedEvent(record);
  return JSON.stringify(stored).slice(1);
}

function storedIntent(record: IntentRecord) {
  const { kind, time, call, trace, client, downstream, decision, requestBytes, shape, config } = record;
  const { id, kind: kindOfPrincipal, groups, scopes, credential } = record.principal;
  return {
    time,
    kind,
    call,
    trace,
    principal: { id, kind: kindOfPrincipal, groups, scopes, credential },
    client: client && { name: cut(client.name, BOUNDS.recordPeer), version: cut(client.version, BOUNDS.recordPeer) },
    address: cut(record.address, BOUNDS.recordPeer),
    method: cut(record.method, BOUNDS.recordName),
    exposed: cut(record.exposed, BOUNDS.recordName),
    original: cut(record.original, BOUNDS.recordName),
    server: cut(record.server, BOUNDS.recordName),
    downstream,
    decision,
    requestBytes,
    shape,
    config,
  };
}

function storedOutcome(record: OutcomeRecord) {
  const { kind, time, call, duration, status, error, instance, upstream, responseBytes } = record;
  return {
    time,
    kind,
    call,
    duration: duration && Math.round(duration * 1000) / 1000,
    status,
    error: cut(error, BOUNDS.recordPeer),
    instance: cut(instance, BOUNDS.recordPeer),
    upstream,
    responseBytes,
  };
}

function storedEvent({ kind, time, event, detail }: EventRecord) {
  const { length } = JSON.stringify(detail);
  // the start after a crash needs the whole list of calls, which `auditOpenCalls` bounds
  const isKept = event === SEGMENT_STARTED || length <= BOUNDS.eventDetail;
  const omitted = `${length} characters, at most ${BOUNDS.eventDetail} are kept`;
  return { time, kind, event: cut(event, BOUNDS.recordPeer), detail: isKept ? detail : { omitted } };
}

function cut(value: string | undefined, longest: number): string | undefined {
  return value !== undefined && value.length > longest ? `${value.slice(0, longest)}…` : value;
}
