// The state database; where it is damaged, at the start or later, the gateway moves it away and begins an empty one.
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { adviceOn, type Database, openDatabase } from './database.ts';
import { STATE_MIGRATIONS } from './migrations.ts';
import { StateError } from './state-error.ts';

/** A damaged database, and where the gateway moved it. */
export interface SetAside {
  readonly file: string;
  readonly keptAs: string;
  readonly reason: string;
}

/** Thrown by a reader of the database that finds what the gateway cannot have written. */
export class Damaged extends Error {
  override readonly name = 'Damaged';
}

/**
 * The codes of SQLite for a damaged file. `ERROR` is one of these: our SQL is fixed, so a table or column that it does not find is one that
 * the file has lost.
 */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|ERROR|SCHEMA|FORMAT|MISMATCH|CONSTRAINT|IOERR_(SHORT_READ|DATA|CORRUPTFS))/;

export class StateDatabase {
  private readonly file: string;
  private readonly onSetAside: (what: SetAside) => void;
  private db: Database;

  /** Opens or creates the file. Throws StateError where it cannot be used for a reason other than damage. */
  constructor(file: string, onSetAside: (what: SetAside) => void) {
    this.file = file;
    this.onSetAside = onSetAside;
    try {
      this.db = openIntact(file);
    } catch (thrown) {
      this.db = this.replaceDamaged(thrown);
    }
  }

  /** Reads or writes. Where `work` finds damage, it runs again on an empty database. */
  use<T>(work: (db: Database) => T): T {
    try {
      return work(this.db);
    } catch (thrown) {
      this.db = this.replaceDamaged(thrown);
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

  /** Moves a damaged file away and opens an empty one. Throws where the error is not about damage. */
  private replaceDamaged(thrown: unknown): Database {
    const cause = thrown instanceof StateError ? thrown.cause : thrown;
    if (!isDamage(cause)) throw this.unusable(thrown);
    closeDamaged(this.db);
    const keptAs = setAside(this.file);
    const db = openDatabase(this.file, { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
    this.onSetAside({ file: this.file, keptAs, reason: reasonOf(cause) });
    return db;
  }
}

function openIntact(file: string): Database {
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

/** Closes a database. Closing writes the journal into the file, which can fail for a damaged file; that error does not matter. */
function closeDamaged(db: Database | undefined): void {
  try {
    db?.close();
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
  }
}

/** Renames the file to one with the present time, removes its journal, and keeps the newest `damagedDatabases` of such files. */
function setAside(file: string): string {
  const moment = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const keptAs = `${file}.damaged-${moment}`;
  renameSync(file, keptAs);
  for (const companion of ['-wal', '-shm']) rmSync(`${file}${companion}`, { force: true });
  const folder = dirname(file);
  const kept = readdirSync(folder).filter((name) => name.startsWith(`${basename(file)}.damaged-`));
  for (const name of kept.sort().slice(0, -BOUNDS.damagedDatabases)) rmSync(join(folder, name), { force: true });
  return keptAs;
}
