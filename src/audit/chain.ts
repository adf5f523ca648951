// How records are linked: each stored record names the hash of the stored bytes of the one before it.
import { hash } from 'node:crypto';

/** What the first record names. */
export const GENESIS = '0'.repeat(64);

/** The last record of a chain. */
export interface Link {
  readonly seq: number;
  /** SHA-256 of the stored bytes, hexadecimal. */
  readonly hash: string;
}

/** The begin of the stored bytes of a record: its number, its version, and the hash of the record before. */
export function prefixOf(seq: number, previous: string): string {
  return `{"seq":${seq},"v":1,"prev":"${previous}",`;
}

/** Hashes the stored bytes of a record. */
export function hashOf(body: string | Uint8Array): string {
  return hash('sha256', body, 'hex');
}

/** What of a record also stands in columns of its own, so that scans need not parse it. */
export interface Head {
  readonly time: number;
  readonly kind: string;
  /** As it stands between its quotes; null in events. */
  readonly call: string | null;
}

const TIME_AT = '"time":'.length;
const KIND_AFTER = ',"kind":"'.length;
const CALL_AFTER = '","call":"'.length;

/** Reads the head of an encoded record by its fixed order. */
export function headOf(encoded: string): Head {
  const timeEnd = encoded.indexOf(',', TIME_AT);
  const kindStart = timeEnd + KIND_AFTER;
  const kindEnd = encoded.indexOf('"', kindStart);
  const kind = encoded.slice(kindStart, kindEnd);
  const callStart = kindEnd + CALL_AFTER;
  const call = kind === 'event' ? null : encoded.slice(callStart, encoded.indexOf('"', callStart));
  return { time: Number(encoded.slice(TIME_AT, timeEnd)), kind, call };
}
