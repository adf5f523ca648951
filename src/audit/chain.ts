// How records are linked: each stored record names the hash of the stored bytes of the one before it.
import { hash } from 'node:crypto';

/** The version of the records that this program writes, and the newest that it reads. */
export const RECORD_VERSION = 1;

/** The `prev` of the first record. */
export const GENESIS = '0'.repeat(64);

/** The last record of a chain. */
export interface Link {
  readonly seq: number;
  /** SHA-256 of the stored bytes, hexadecimal. */
  readonly hash: string;
}

/** The start of the stored bytes of a record: its number, its version, and the hash of the previous record. */
export function prefixOf(seq: number, previous: string): string {
  return `{"seq":${seq},"v":${RECORD_VERSION},"prev":"${previous}",`;
}

/** Hashes the stored bytes of a record: its line without the line break. */
export function hashOf(body: string | Uint8Array): string {
  return hash('sha256', body, 'hex');
}

/** The fields that every record begins with, in a fixed order, so that a scan need not parse the rest. */
export interface Head {
  readonly seq: number;
  /** UTC milliseconds. */
  readonly time: number;
  readonly kind: 'intent' | 'outcome' | 'event';
  /** Empty in events. */
  readonly call: string;
}

/** The head of every record fits into so many bytes. */
const HEAD_BYTES = 320;
const HEAD =
  /^\{"seq":(\d+),"v":1,"prev":"[0-9a-f]{64}","time":(\d+),"kind":"(?:(event)"|(intent|outcome)","call":"([^"]*)")/;

/** Reads the head of a stored record; undefined where the line does not begin as a record of this version. */
export function headOf(line: Buffer): Head | undefined {
  const found = HEAD.exec(line.toString('latin1', 0, HEAD_BYTES));
  if (found === null) return undefined;
  const [, seq, time, event, kind, call] = found;
  return { seq: Number(seq), time: Number(time), kind: (event ?? kind) as Head['kind'], call: call ?? '' };
}

/** Reads the number and the version of a stored record; it may be of a newer version. */
export function numberOf(line: Buffer): { readonly seq: number; readonly version: number } | undefined {
  const found = /^\{"seq":(\d+),"v":(\d+),/.exec(line.toString('latin1', 0, 64));
  return found === null ? undefined : { seq: Number(found[1]), version: Number(found[2]) };
}
