// The stored form of a record: JSON put together by hand, because it is written twice for every call.
import type { Peer, Via } from '../core/call.ts';
import type { Principal } from '../core/principal.ts';
import {
  SEGMENT_STARTED,
  type AuditRecord,
  type EventRecord,
  type IntentRecord,
  type OutcomeRecord,
} from './record.ts';

/** Characters of a name or URI that came from outside. */
const MAX_NAME = 1024;
/** Characters of what a client says about itself. */
const MAX_PEER = 128;
/** Characters of the detail of an event. */
const MAX_DETAIL = 16_384;

/**
 * The JSON of a record after its opening brace: the writer puts number, version and link before it. Every record begins with time
 * and kind, those of calls go on with the call's id, which is hexadecimal like the trace and so needs
 * no escapes; whoever reads the log relies on that order. Never contains a line break.
 */
export function encodeRecord(record: AuditRecord): string {
  if (record.kind === 'intent') return encodeIntent(record);
  return record.kind === 'outcome' ? encodeOutcome(record) : encodeEvent(record);
}

function encodeIntent(record: IntentRecord): string {
  const { decision } = record;
  return (
    `"time":${record.time},"kind":"intent","call":"${record.call}","trace":"${record.trace}"` +
    `,"principal":${encodePrincipal(record.principal)}` +
    (record.client === undefined ? '' : `,"client":${encodePeer(record.client)}`) +
    text('address', record.address, MAX_PEER) +
    `,"method":${quote(record.method, MAX_NAME)}` +
    text('exposed', record.exposed, MAX_NAME) +
    text('original', record.original, MAX_NAME) +
    text('server', record.server, MAX_NAME) +
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
    text('error', record.error, MAX_PEER) +
    text('instance', record.instance, MAX_PEER) +
    (record.upstream === undefined ? '' : `,"upstream":${encodeVia(record.upstream)}`) +
    (record.responseBytes === undefined ? '' : `,"responseBytes":${record.responseBytes}`) +
    '}'
  );
}

function encodeEvent(record: EventRecord): string {
  const whole = JSON.stringify(record.detail);
  // a start after a crash needs the whole list, and the list is bounded
  const longest = record.event === SEGMENT_STARTED ? Infinity : MAX_DETAIL;
  const detail =
    whole.length > longest ? `{"omitted":"${whole.length} characters, at most ${MAX_DETAIL} are kept"}` : whole;
  return `"time":${record.time},"kind":"event","event":${quote(record.event, MAX_PEER)},"detail":${detail}}`;
}

function encodeVia(via: Via): string {
  if ('era' in via) return `{"era":"${via.era}","transport":"${via.transport}"}`;
  return `{"dialect":${JSON.stringify(via.dialect)},"transport":${JSON.stringify(via.transport)}}`;
}

const principals = new WeakMap<Principal, string>();

/** A principal is one object for as long as its credential is in force, so its JSON is made once. */
function encodePrincipal(principal: Principal): string {
  let json = principals.get(principal);
  if (json === undefined) {
    const { id, kind, groups, scopes, credential } = principal;
    json = JSON.stringify({ id, kind, groups, scopes, credential });
    principals.set(principal, json);
  }
  return json;
}

function encodePeer(peer: Peer): string {
  return `{"name":${quote(peer.name, MAX_PEER)},"version":${quote(peer.version, MAX_PEER)}}`;
}

function text(key: string, value: string | undefined, longest: number): string {
  return value === undefined ? '' : `,"${key}":${quote(value, longest)}`;
}

function quote(value: string, longest: number): string {
  return JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value);
}
