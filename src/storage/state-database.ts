// The database of what may be learned again: where it is damaged, it is set aside and begun anew, at the start and at any later moment.
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reasonOf } from '../core/errors.ts';
import { adviceOn, type Database, openDatabase } from './database.ts';
import { STATE_MIGRATIONS } from './migrations.ts';
import { StateError } from './state-error.ts';

/** A damaged database, and where it is now. */
export interface SetAside {
  readonly file: string;
  readonly keptAs: string;
  readonly reason: string;
}

/** Thrown by a reader of the database that found what nobody can have written. */
export class Damaged extends Error {
  override readonly name = 'Damaged';
}

/** Damaged databases that are kept for whoever wants to look into them. */
const MAX_KEPT = 3;

/**
 * What SQLite says of a file whose content is wrong. `ERROR` is one of these: our SQL is fixed, so that a table or column which it does not
 * find is one that the file has lost.
 */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|ERROR|SCHEMA|FORMAT|MISMATCH|CONSTRAINT|IOERR_(SHORT_READ|DATA|CORRUPTFS))/;

export class StateDatabase {
  private readonly file: string;
  private readonly onSetAside: (what: SetAside) => void;
  private db: Database;

  /** Opens or makes the file. Throws StateError where it cannot be used for another reason than damage. */
  constructor(file: string, onSetAside: (what: SetAside) => void) {
    this.file = file;
    this.onSetAside = onSetAside;
    try {
      this.db = openWhole(file);
    } catch (thrown) {
      this.db = this.beginAnew(thrown);
    }
  }

  /** Reads or writes. Work that meets damage is done a second time, on a database that has nothing yet. */
  use<T>(work: (db: Database) => T): T {
    try {
      return work(this.db);
    } catch (thrown) {
      this.db = this.beginAnew(thrown);
      return work(this.db);
    }
  }

  close(): void {
    closeDamaged(this.db);
  }

  private unusable(thrown: unknown): unknown {
    const isOurs = thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('SQLITE_');
    if (!isOurs) return thrown;
    return new StateError(`Cannot use ${this.file}: ${reasonOf(thrown)}. ${adviceOn(thrown)}`, { cause: thrown });
  }

  /** Throws where what it is given tells of no damage. */
  private beginAnew(thrown: unknown): Database {
    const cause = thrown instanceof StateError ? thrown.cause : thrown;
    if (!isDamage(cause)) throw this.unusable(thrown);
    closeDamaged(this.db);
    const keptAs = setAside(this.file);
    const db = openDatabase(this.file, { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
    this.onSetAside({ file: this.file, keptAs, reason: reasonOf(cause) });
    return db;
  }
}

function openWhole(file: string): Database {
  const db = openDatabase(file, { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
  try {
    const found = db.pragma('integrity_check(1)', { simple: true });
    if (found !== 'ok') throw new Damaged(String(found).replaceAll(/\s+/g, ' '));
    return db;
  } catch (thrown) {
    closeDamaged(db);
    throw thrown;
  }
}

function isDamage(thrown: unknown): thrown is Error {
  if (thrown instanceof Damaged) return true;
  return thrown instanceof Error && 'code' in thrown && DAMAGE.test(String(thrown.code));
}

/** Closing takes over what is in the journal, which a damaged file may not let happen: it is given up anyway. */
function closeDamaged(db: Database | undefined): void {
  try {
    db?.close();
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
  }
}

/** Moves the file and its journal away, under the time of the loss, and keeps the newest few of those. */
function setAside(file: string): string {
  const moment = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const keptAs = `${file}.damaged-${moment}`;
  renameSync(file, keptAs);
  for (const companion of ['-wal', '-shm']) rmSync(`${file}${companion}`, { force: true });
  const folder = dirname(file);
  const kept = readdirSync(folder).filter((name) => name.startsWith(`${basename(file)}.damaged-`));
  for (const name of kept.sort().slice(0, -MAX_KEPT)) rmSync(join(folder, name), { force: true });
  return keptAs;
}
