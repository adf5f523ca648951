// Opens SQLite files: every pragma set and read back on every open, files private, schema at the newest version.
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import { reasonOf } from '../core/errors.ts';
import { migrate, requireCurrent, type Migration } from './migrations.ts';
import { StateError } from './state-error.ts';

export type Database = BetterSqlite3.Database;

/** How to open a database. */
export interface DatabaseOptions {
  readonly migrations: readonly Migration[];
  /** Opens an existing file for reading, beside the process that writes it. */
  readonly readonly?: boolean;
  /** In WAL mode NORMAL survives the death of the process, FULL that of the machine. */
  readonly synchronous: 'NORMAL' | 'FULL';
}

const SYNCHRONOUS = { NORMAL: 1, FULL: 2 } as const;
const BUSY_TIMEOUT_MS = 5_000;

/** The native module, loaded by the first one who opens a file, not by those who import this module. */
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
    db = new (loadSqlite())(file, { readonly, timeout: BUSY_TIMEOUT_MS });
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
  // Reading it is what opens the file, so this comes first and a file that is no database stops here.
  const mode = db.pragma(readonly === true ? 'journal_mode' : 'journal_mode = WAL', { simple: true });
  if (mode !== 'wal') throw new Error(`journal_mode is ${String(mode)} instead of wal`);
  const wanted: Readonly<Record<string, number>> = {
    // The library opens an existing WAL file with NORMAL, whatever the file was written with.
    synchronous: SYNCHRONOUS[synchronous],
    busy_timeout: BUSY_TIMEOUT_MS,
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

/** SQLite gives the -wal and -shm files the mode of the main file, so that one must be private before it opens it. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  if (process.platform === 'win32') return;
  if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600);
}

/** What to do about what SQLite or the file system says. */
export function adviceOn(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (/NOTADB|CORRUPT/.test(code)) return 'Move the file away, or restore it from a backup.';
  if (/READONLY|CANTOPEN|EACCES|EROFS|EPERM|ENOENT/.test(code))
    return 'The state directory must exist and be writable by this user.';
  if (/FULL|ENOSPC/.test(code)) return 'Free space on its disk.';
  return 'Check the state directory, or use another one.';
}
