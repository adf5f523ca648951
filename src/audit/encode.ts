// The stored form of a record: JSON concatenated by hand, because every call writes two records.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Peer, Via } from '../core/call.ts';
import type { Principal } from '../core/principal.ts';
import {
  SEGMENT_STARTED,
  type AuditRecord,
  type EventRecord,
  type IntentRecord,
  type OutcomeRecord,
} from './record.ts';

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
