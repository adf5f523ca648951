// The file with the second copy of the names given to tools and prompts, so that damage to the database renames no tool.
import { hash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { reasonOf } from '../core/errors.ts';
import { isObject, type JsonValue } from '../core/json.ts';
import { newerState } from '../storage/state-error.ts';
import { OFFER_KINDS, type OfferKind } from '../core/call.ts';

const VERSION = 1;

/** The names, or why the file cannot be read; neither where there is no file yet. */
export interface NamesRead {
  readonly names?: readonly NameRow[];
  readonly damage?: string;
}

/** Reads the file. Throws StateError where a newer version wrote it. */
export function readNames(file: string): NamesRead {
  if (!existsSync(file)) return {};
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isObject(found) || typeof found.v !== 'number') return { damage: 'it is not a file of names' };
    if (found.v > VERSION) throw newerState(file, found.v, VERSION);
    if (!Array.isArray(found.names) || found.sum !== sumOf(found.names)) return { damage: 'its sum is wrong' };
    return { names: found.names.map(readNameRow) };
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'StateError') throw thrown;
    return { damage: reasonOf(thrown) };
  }
}

/** Writes all names: replaces the file atomically. */
export function writeNames(file: string, rows: Iterable<NameRow>): void {
  const names = Array.from(rows, ({ kind, server, original, exposed }) => ({ kind, server, original, exposed }));
  const partial = `${file}.partial`;
  const opened = openSync(partial, 'w', 0o600);
  try {
    const bytes = Buffer.from(`${JSON.stringify({ v: VERSION, sum: sumOf(names), names })}\n`);
    for (let done = 0; done < bytes.length;) done += writeSync(opened, bytes, done);
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
  renameSync(partial, file);
}

function sumOf(names: JsonValue): string {
  return hash('sha256', JSON.stringify(names), 'hex');
}

export interface NameRow {
  readonly kind: OfferKind;
  readonly server: string;
  readonly original: string;
  readonly exposed: string;
}

/** Checks a row that was read from disk. Throws Error where it is not a NameRow. */
export function readNameRow(row: unknown): NameRow {
  const { kind, server, original, exposed } = isObject(row) ? row : {};
  const known = OFFER_KINDS.find((one) => one === kind);
  if (known === undefined || typeof server !== 'string' || typeof original !== 'string' || typeof exposed !== 'string')
    throw new Error('a name is not one that was ever given');
  return { kind: known, server, original, exposed };
}
