// The state directory: private, owned by one process at a time through a file lock, with the owner in `run.json`.
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { reasonOf } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import { loadSqlite, type Database } from './database.ts';
import { replacePrivateText } from './private-file.ts';
import { StateError } from './state-error.ts';

/** The owner of a state directory, as `run.json` says. */
export interface RunInfo {
  readonly pid: number;
  readonly url: string;
  readonly version: string;
  /** Path of the configuration file in force. */
  readonly config: string;
}

/** A state directory that this process owns until `release`. */
export interface StateDirectory {
  /** Absolute. */
  readonly path: string;
  /** Says that the lock file was damaged and is empty again; absent where it was not. */
  readonly repaired?: string;
  /**
   * Whether the lock file is still the one at its path. Where it was deleted or replaced, another process may own the directory, so this
   * process may not write there any more; `lost` resolves then.
   */
  isHeld(): boolean;
  /** Resolves when this process notices that the lock file was deleted or replaced. */
  readonly lost: Promise<StateError>;
  /** Writes `run.json`: replaces the file atomically. */
  writeRunInfo(info: RunInfo): void;
  /** Removes `run.json` and releases the lock. The lock also ends with the process. */
  release(): void;
}

const LOCK_FILE = 'lock.db';

/** Creates a state directory if needed, and takes its lock. Throws StateError with reason `in_use` where another process owns it. */
export function openStateDirectory(path: string): StateDirectory {
  const directory = resolve(path);
  makeOwnDirectory(directory);
  const { lock, repaired } = takeLock(directory);
  const held = new HeldLock(join(directory, LOCK_FILE));
  const runFile = join(directory, 'run.json');
  // the file of a killed owner would name the wrong process
  rmSync(runFile, { force: true });
  return {
    path: directory,
    ...(repaired !== undefined && { repaired }),
    isHeld: () => held.check(),
    lost: held.lost,
    writeRunInfo: (info) => replacePrivateText(runFile, JSON.stringify(info)),
    release() {
      if (!lock.open) return;
      // without the lock, the file may be that of another owner
      if (held.check()) rmSync(runFile, { force: true });
      held.close();
      lock.close();
    },
  };
}

/** Reads the owner of a state directory; undefined where no file names one. That process may have ended: only the lock tells. */
export function readRunInfo(path: string): RunInfo | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(join(resolve(path), 'run.json'), 'utf8'));
    if (!isObject(found)) return undefined;
    const { pid, url, version, config } = found;
    const complete =
      typeof pid === 'number' && typeof url === 'string' && typeof version === 'string' && typeof config === 'string';
    return complete ? { pid, url, version, config } : undefined;
  } catch {
    // an absent, unreadable or incomplete file names no owner
    return undefined;
  }
}

function makeOwnDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    requireOwn(directory);
  } catch (thrown) {
    if (thrown instanceof StateError) throw thrown;
    throw new StateError(
      `Cannot use the state directory ${directory}: ${reasonOf(thrown)}. Name another with --state.`,
      {
        cause: thrown,
      },
    );
  }
}

/** Makes sure that no other user can read or replace the files in a directory. Throws StateError, or what the file system says. */
export function requireOwn(directory: string): void {
  const target = statSync(directory);
  if (!target.isDirectory())
    throw new StateError(`${directory} is not a directory. Remove it, or name another with --state.`);
  const user = process.getuid?.();
  if (user === undefined) return;
  const isLink = lstatSync(directory).isSymbolicLink();
  if (!isOwnedBy(user, { target, isLink })) {
    throw new StateError(
      `${directory} ${isLink ? 'is a link to a directory that ' : ''}belongs to user ${target.uid}, not to user ${user}. ` +
        `Change its owner, or name another with --state.`,
    );
  }
  if ((target.mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

/** Root may use a directory that another user owns, such as a volume, but not through a link. */
function isOwnedBy(user: number, { target, isLink }: { target: Stats; isLink: boolean }): boolean {
  return target.uid === user || (user === 0 && !isLink);
}

/** The lock file, as it was when this process took the lock. */
class HeldLock {
  readonly lost: Promise<StateError>;
  private readonly file: string;
  private readonly original: Stats;
  private readonly timer: NodeJS.Timeout;
  private readonly losing = Promise.withResolvers<StateError>();
  private isLost = false;

  constructor(file: string) {
    this.file = file;
    this.original = statSync(file);
    this.lost = this.losing.promise;
    this.timer = setInterval(() => this.check(), BOUNDS.stateLockCheck).unref();
  }

  /** Whether the file at the path is still the original. Once it was not, the lock stays lost. */
  check(): boolean {
    if (this.isLost) return false;
    const found = statSync(this.file, { throwIfNoEntry: false });
    if (found?.ino === this.original.ino && found.dev === this.original.dev) return true;
    this.isLost = true;
    this.close();
    this.losing.resolve(
      new StateError(
        `${this.file} was ${found ? 'replaced' : 'deleted'} while the gateway was running, so another one can own the state directory by now. ` +
          `This one writes nothing more there and ends. Start it again, and leave the files of the state directory alone.`,
      ),
    );
    return false;
  }

  close(): void {
    clearInterval(this.timer);
  }
}

interface Lock {
  readonly lock: Database;
  readonly repaired?: string;
}

function takeLock(directory: string): Lock {
  const file = join(directory, LOCK_FILE);
  try {
    writeFileSync(file, '', { flag: 'a', mode: 0o600 });
    return { lock: beginLock(file) };
  } catch (thrown) {
    if (!/^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(thrown))) throw lockError(directory, thrown);
    return repairLock(directory, thrown);
  }
}

/** Takes the lock: an exclusive transaction that never ends, so that the system releases it with the process. */
function beginLock(file: string): Database {
  const db = new (loadSqlite())(file, { timeout: BOUNDS.stateLockWait });
  try {
    // no journal file is needed, since the transaction writes nothing
    db.pragma('journal_mode = MEMORY');
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/**
 * Empties a lock file that is not a database. SQLite could read it, so no process holds the lock. It stays the same file, so that of two
 * processes that find it damaged one gets the lock.
 */
function repairLock(directory: string, damage: unknown): Lock {
  const file = join(directory, LOCK_FILE);
  const repaired = `${file} was damaged (${reasonOf(damage)}) and is empty again, as it has to be.`;
  try {
    truncateSync(file);
    return { lock: beginLock(file), repaired };
  } catch (thrown) {
    throw lockError(directory, thrown);
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

function lockError(directory: string, thrown: unknown): StateError {
  if (!codeOf(thrown).startsWith('SQLITE_BUSY')) {
    return new StateError(
      `The state directory ${directory} is not writable: ${reasonOf(thrown)}. Change its permissions, or name another with --state.`,
      { cause: thrown },
    );
  }
  const owner = readRunInfo(directory);
  const who =
    owner === undefined
      ? 'another process, which has not said yet who it is'
      : `process ${owner.pid} (version ${owner.version}) serving ${owner.url}`;
  return new StateError(
    `The state directory ${directory} is in use by ${who}. Stop it, or name another with --state.`,
    {
      reason: 'in_use',
      cause: thrown,
    },
  );
}
