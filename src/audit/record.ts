// Version 1 of the audit record: what its three kinds hold, how calls become records, and how records become bytes.
import { type Call, type Era, type Peer, serverOf, type Transport, type Via } from '../core/call.ts';
import type { CallContext, Settlement, Status } from '../core/call-context.ts';
import { type Decision, UNDECIDED } from '../core/decision.ts';
import { isObject, type JsonObject, type JsonValue, notedKeys, numberOf } from '../core/json.ts';
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
  const noted = notedKeys(object);
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

/** The JSON of principals: each is one object for as long as its credential is in force, so that its JSON is written once. */
export type PrincipalTexts = WeakMap<Principal, string>;

/**
 * The JSON of a record after its opening brace: the writer puts number, version and link before it. Every record begins with time and
 * kind. Those of a call continue with the call's id, which is hexadecimal, as the trace is, and needs no escapes. `headOf` relies on that
 * order. Never contains a line break.
 */
export function encodeRecord(record: AuditRecord, principals?: PrincipalTexts): string {
  if (record.kind === 'intent') return encodeIntent(record, principals);
  return record.kind === 'outcome' ? encodeOutcome(record) : encodeEvent(record);
}

function encodeIntent(record: IntentRecord, principals: PrincipalTexts | undefined): string {
  const { decision } = record;
  return (
    `"time":${record.time},"kind":"intent","call":"${record.call}","trace":"${record.trace}"` +
    `,"principal":${encodePrincipal(record.principal, principals)}` +
    (record.client === undefined ? '' : `,"client":${encodePeer(record.client)}`) +
    text('address', record.address, BOUNDS.recordPeer) +
    `,"method":${quote(record.method, BOUNDS.recordName)}` +
    text('exposed', record.exposed, BOUNDS.recordName) +
    text('original', record.original, BOUNDS.recordName) +
    text('server', record.server, BOUNDS.recordName) +
    `,"downstream":${encodeVia(record.downstream)}` +
    `,"decision":{"allowed":${decision.allowed},"rule":${JSON.stringify(decision.rule)},"reason":${JSON.stringify(decision.reason)}` +
    (decision.source === undefined ? '' : `,"source":${JSON.stringify(decision.source)}`) +
    '}' +
    `,"requestBytes":${record.requestBytes}` +
    (record.shape === undefined ? '' : `,"shape":${JSON.stringify(record.shape)}`) +
    `,"config":${JSON.stringify(record.config)}}`
  );
}

function encodeOutcome(record: OutcomeRecord): string {
  return (
    `"time":${record.time},"kind":"outcome","call":"${record.call}"` +
    (record.duration === undefined ? '' : `,"duration":${Math.round(record.duration * 1000) / 1000}`) +
    `,"status":"${record.status}"` +
    text('error', record.error, BOUNDS.recordPeer) +
    text('instance', record.instance, BOUNDS.recordPeer) +
    (record.upstream === undefined ? '' : `,"upstream":${encodeVia(record.upstream)}`) +
    (record.responseBytes === undefined ? '' : `,"responseBytes":${record.responseBytes}`) +
    '}'
  );
}

function encodeEvent(record: EventRecord): string {
  const whole = JSON.stringify(record.detail);
  // the start after a crash needs the whole list of calls, which `auditOpenCalls` bounds
  const longest = record.event === SEGMENT_STARTED ? Infinity : BOUNDS.eventDetail;
  const detail =
    whole.length > longest ? `{"omitted":"${whole.length} characters, at most ${BOUNDS.eventDetail} are kept"}` : whole;
  return `"time":${record.time},"kind":"event","event":${quote(record.event, BOUNDS.recordPeer)},"detail":${detail}}`;
}

function encodeVia(via: Via): string {
  if ('era' in via) return `{"era":"${via.era}","transport":"${via.transport}"}`;
  return `{"dialect":${JSON.stringify(via.dialect)},"transport":${JSON.stringify(via.transport)}}`;
}

function encodePrincipal(principal: Principal, texts: PrincipalTexts | undefined): string {
  let json = texts?.get(principal);
  if (json === undefined) {
    const { id, kind, groups, scopes, credential } = principal;
    json = JSON.stringify({ id, kind, groups, scopes, credential });
    texts?.set(principal, json);
  }
  return json;
}

function encodePeer(peer: Peer): string {
  return `{"name":${quote(peer.name, BOUNDS.recordPeer)},"version":${quote(peer.version, BOUNDS.recordPeer)}}`;
}

function text(key: string, value: string | undefined, longest: number): string {
  return value === undefined ? '' : `,"${key}":${quote(value, longest)}`;
}

function quote(value: string, longest: number): string {
  return JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value);
}
