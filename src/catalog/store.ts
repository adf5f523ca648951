// Stores what the gateway knows of its servers between runs: their last offers, and twice the names of their tools and prompts.
import { join } from 'node:path';
import { OFFER_KINDS, type OfferKind } from '../core/call.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { isObject, type JsonValue } from '../core/json.ts';
import type { Database } from '../storage/database.ts';
import { parseStrict } from '../protocol/mcp/strict-json.ts';
import { replacePrivateText } from '../storage/private-file.ts';
import type { EraKey } from '../storage/server-key.ts';
import { Damaged, type StateDatabase } from '../storage/state-database.ts';
import type { NameChange } from './names.ts';
import type { ServerOffer } from './offer.ts';
import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { newerState } from '../storage/state-error.ts';

/** The last offer of a server, and when the gateway read it (UTC ms). */
export interface StoredOffer {
  readonly fetchedAt: number;
  readonly offer: ServerOffer;
}

/** No bounds for what the gateway itself wrote. The strict parser keeps numbers as the server wrote them. */
const OWN = { depth: Infinity, uniqueKeys: false };

/** Called where the file `names.json` cannot be read and is written again. */
type NamesLost = (lost: { readonly file: string; readonly reason: string }) => void;

/** The tables `names` and `offers`, and the second copy of the names. */
export class CatalogStore {
  private readonly db: StateDatabase;
  private readonly namesFile: string;
  private readonly onNamesLost: NamesLost;

  /** `directory` has the file `names.json`. */
  constructor(db: StateDatabase, directory: string, onNamesLost: NamesLost) {
    this.db = db;
    this.namesFile = join(directory, 'names.json');
    this.onNamesLost = onNamesLost;
  }

  /** Every name that was given: from the file, which has a checksum and is written first; from the database where there is no file. */
  names(): NameRow[] {
    const { names, damage } = readNames(this.namesFile);
    const kept = this.db.use(readRows);
    if (names) {
      if (!hasSame(kept, names)) this.db.use((db) => replaceRows(db, { given: names, anew: true }));
      return [...names];
    }
    if (damage !== undefined) this.onNamesLost({ file: this.namesFile, reason: damage });
    if (damage !== undefined || kept.length > 0) writeNames(this.namesFile, kept);
    return kept;
  }

  /** Writes the file first, since `names` prefers it. */
  saveNames({ given, forgotten, all }: NameChange): void {
    writeNames(this.namesFile, all);
    this.db.use((db) => replaceRows(db, { given, forgotten }));
  }

  /** The last offer of a server in an era, if it came from this command or URL. */
  offer({ server, digest, era }: EraKey): StoredOffer | undefined {
    return this.db.use((db) => {
      const row = db
        .prepare<[string, string, string], { fetched_at: number; body: string }>(
          'SELECT fetched_at, body FROM offers WHERE server = ? AND era = ? AND digest = ?',
        )
        .get(server, era, digest);
      return row && { fetchedAt: row.fetched_at, offer: readOffer(row.body) };
    });
  }

  saveOffer({ server, digest, era }: EraKey, stored: StoredOffer): void {
    this.db.use((db) =>
      db
        .prepare<[string, string, string, number, string]>('INSERT OR REPLACE INTO offers VALUES (?, ?, ?, ?, ?)')
        .run(server, era, digest, stored.fetchedAt, JSON.stringify(stored.offer)),
    );
  }
}

function readRows(db: Database): NameRow[] {
  const rows = db.prepare('SELECT kind, server, original, exposed FROM names').all();
  try {
    return rows.map(readNameRow);
  } catch (thrown) {
    throw new Damaged(reasonOf(thrown));
  }
}

function replaceRows(
  db: Database,
  {
    given,
    forgotten = [],
    anew = false,
  }: { given: readonly NameRow[]; forgotten?: readonly NameRow[]; anew?: boolean },
): void {
  const insert = db.prepare<NameRow>('INSERT OR REPLACE INTO names VALUES (@kind, @server, @original, @exposed)');
  const remove = db.prepare<NameRow>(
    'DELETE FROM names WHERE kind = @kind AND server = @server AND original = @original',
  );
  db.transaction(() => {
    if (anew) db.exec('DELETE FROM names');
    for (const row of forgotten) remove.run(row);
    for (const row of given) insert.run(row);
  })();
}

function hasSame(rows: readonly NameRow[], others: readonly NameRow[]): boolean {
  const keyOf = ({ kind, server, original, exposed }: NameRow) => JSON.stringify([kind, server, original, exposed]);
  const keys = new Set(rows.map(keyOf));
  return rows.length === others.length && others.every((row) => keys.has(keyOf(row)));
}

/** Reads a stored offer. Throws Damaged where it is not one that the gateway wrote. */
function readOffer(body: string): ServerOffer {
  let offer: unknown;
  try {
    offer = parseStrict(body, OWN);
  } catch (thrown) {
    throw new Damaged(`an offer in it is not JSON: ${reasonOf(thrown).slice(0, BOUNDS.warningExcerpt)}`);
  }
  const entries = isObject(offer) && isObject(offer.capabilities) && isObject(offer.entries) ? offer.entries : {};
  const isWhole = OFFER_KINDS.every((kind) => {
    const list = entries[kind];
    return Array.isArray(list) && list.every(isObject);
  });
  if (!isWhole) throw new Damaged('an offer in it is not one that was ever read');
  return offer as ServerOffer;
}

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
  replacePrivateText(file, JSON.stringify({ v: VERSION, sum: sumOf(names), names }), { flush: true });
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
