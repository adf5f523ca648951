// Opens SQLite databases: sets and reads back every pragma, makes files private, migrates the schema to the newest version.
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { migrate, requireCurrent, type Migration } from './migrations.ts';
import { StateError } from './state-error.ts';

export type Database = BetterSqlite3.Database;

/** How to open a database. */
export interface DatabaseOptions {
  readonly migrations: readonly Migration[];
  /** Opens an existing file for reading, while another process may write it. */
  readonly readonly?: boolean;
  /** In WAL mode a commit with NORMAL survives a crash of the process, with FULL one of the machine. */
  readonly synchronous: 'NORMAL' | 'FULL';
}

const SYNCHRONOUS = { NORMAL: 1, FULL: 2 } as const;

/** The native module. It is loaded when the first file is opened, and not when this module is imported. */
export function loadSqlite(): typeof BetterSqlite3 {
  return createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
}

/** Opens a database and brings its schema to the newest version. Throws StateError. */
export function openDatabase(file: string, options: DatabaseOptions): Database {
  const readonly = options.readonly ?? false;
  let db: Database | undefined;
  try {
    if (readonly) requireFile(file);
    else makePrivate(file);
    db = new (loadSqlite())(file, { readonly, timeout: BOUNDS.databaseWait });
    setPragmas(db, options);
    if (readonly) requireCurrent(db, file, options.migrations);
    else migrate(db, file, options.migrations);
    return db;
  } catch (thrown) {
    db?.close();
    if (thrown instanceof StateError) throw thrown;
    throw new StateError(`Cannot open ${file}: ${reasonOf(thrown)}. ${adviceOn(thrown)}`, { cause: thrown });
  }
}

function setPragmas(db: Database, { synchronous, readonly }: DatabaseOptions): void {
  // the first pragma opens the file, so a file that is not a database fails here
  const mode = db.pragma(readonly === true ? 'journal_mode' : 'journal_mode = WAL', { simple: true });
  if (mode !== 'wal') throw new Error(`journal_mode is ${String(mode)} instead of wal`);
  const wanted: Readonly<Record<string, number>> = {
    // SQLite opens an existing WAL file with NORMAL, whatever setting it was written with
    synchronous: SYNCHRONOUS[synchronous],
    busy_timeout: BOUNDS.databaseWait,
    foreign_keys: 1,
    trusted_schema: 0,
    cell_size_check: 1,
    query_only: readonly === true ? 1 : 0,
  };
  for (const [name, value] of Object.entries(wanted)) {
    db.pragma(`${name} = ${value}`);
    const got = db.pragma(name, { simple: true });
    if (got !== value) throw new Error(`PRAGMA ${name} is ${String(got)} instead of ${value}`);
  }
}

function requireFile(file: string): void {
  if (existsSync(file)) return;
  throw new StateError(
    `${file} does not exist: no gateway has run with this state directory. Start one, or name another with --state.`,
  );
}

/** Makes the main file private before SQLite opens it, since the -wal and -shm files get its mode. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  if (process.platform === 'win32') return;
  if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600);
}

/** What the operator can do about an error of SQLite or the file system. */
export function adviceOn(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (/NOTADB|CORRUPT/.test(code)) return 'Move the file away, or restore it from a backup.';
  if (/READONLY|CANTOPEN|EACCES|EROFS|EPERM|ENOENT/.test(code))
    return 'The state directory must exist and be writable by this user.';
  if (/FULL|ENOSPC/.test(code)) return 'Free space on its disk.';
  return 'Check the state directory, or use another one.';
}
