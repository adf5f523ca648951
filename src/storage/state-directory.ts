// The state directory: private, owned by one process at a time through an OS lock, and saying by whom.
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { reasonOf } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import { loadSqlite, type Database } from './database.ts';
import { StateError } from './state-error.ts';

/** What the owner of a state directory says about itself in `run.json`. */
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
  /** What was found damaged and made anew when the directory was taken, in words. */
  readonly repaired?: string;
  /**
   * Whether the lock is still the file that others would take. Where it was deleted or replaced, another process can own the directory by now,
   * so that nothing may be written there any more; `lost` settles then.
   */
  isHeld(): boolean;
  /** Resolves when it is noticed that the lock is gone. */
  readonly lost: Promise<StateError>;
  /** Publishes who the owner is, whole or not at all. */
  writeRunInfo(info: RunInfo): void;
  /** Gives the directory up: removes `run.json`, then the lock. The lock also ends with the process. */
  release(): void;
}

const LOCK_FILE = 'lock.db';

/** Two who start together can each be in the other's way for a moment; after it one must have the lock. */
const LOCK_WAIT_MS = 100;

/** How often an owner looks after its lock beside its writing. */
const LOOK_EVERY_MS = 500;

/** Creates or takes a state directory. Throws StateError with reason `in_use` when another process owns it. */
export function openStateDirectory(path: string): StateDirectory {
  const directory = resolve(path);
  makeOwnDirectory(directory);
  const { lock, repaired } = takeLock(directory);
  const held = new HeldLock(join(directory, LOCK_FILE));
  const runFile = join(directory, 'run.json');
  // What a killed owner left behind would name the wrong process.
  rmSync(runFile, { force: true });
  return {
    path: directory,
    ...(repaired !== undefined && { repaired }),
    isHeld: () => held.look(),
    lost: held.lost,
    writeRunInfo(info) {
      const partial = `${runFile}.partial`;
      writeFileSync(partial, `${JSON.stringify(info)}\n`, { mode: 0o600 });
      renameSync(partial, runFile);
    },
    release() {
      if (!lock.open) return;
      // another owner has said there who it is
      if (held.look()) rmSync(runFile, { force: true });
      held.close();
      lock.close();
    },
  };
}

/** Reads who owns a state directory; undefined when nobody has said so. The process may be gone: only the lock tells. */
export function readRunInfo(path: string): RunInfo | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(join(resolve(path), 'run.json'), 'utf8'));
    if (!isObject(found)) return undefined;
    const { pid, url, version, config } = found;
    const complete =
      typeof pid === 'number' && typeof url === 'string' && typeof version === 'string' && typeof config === 'string';
    return complete ? { pid, url, version, config } : undefined;
  } catch {
    // Absent, unreadable and half-made mean the same to whoever asks: nobody is named.
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

/** Makes sure that nobody else can read or swap what is inside. Throws StateError or what the file system says. */
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

/** Root may serve from the directory of a volume that another user owns, but does not follow a link there. */
function isOwnedBy(user: number, { target, isLink }: { target: Stats; isLink: boolean }): boolean {
  return target.uid === user || (user === 0 && !isLink);
}

/** The file of the lock, as it was when the lock was taken. */
class HeldLock {
  readonly lost: Promise<StateError>;
  private readonly file: string;
  private readonly taken: Stats;
  private readonly timer: NodeJS.Timeout;
  private readonly losing = Promise.withResolvers<StateError>();
  private isLost = false;

  constructor(file: string) {
    this.file = file;
    this.taken = statSync(file);
    this.lost = this.losing.promise;
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  /** Whether the file is still in its place. Once it was not, it is another's. */
  look(): boolean {
    if (this.isLost) return false;
    const there = statSync(this.file, { throwIfNoEntry: false });
    if (there?.ino === this.taken.ino && there.dev === this.taken.dev) return true;
    this.isLost = true;
    this.close();
    this.losing.resolve(
      new StateError(
        `${this.file} was ${there ? 'replaced' : 'deleted'} while the gateway was running, so another one can own the state directory by now. ` +
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

/** An exclusive transaction that never ends: the lock goes with the process, however it dies. */
function beginLock(file: string): Database {
  const db = new (loadSqlite())(file, { timeout: LOCK_WAIT_MS });
  try {
    // Nothing is ever written, so no journal need lie beside it.
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
 * Empties a lock that is no database. It could be read, so no process holds it; and it stays the same file, so that of two which find it
 * damaged one gets it.
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
