// Finds who else can change a file, by owner and mode of the file and of every folder and link that leads to it.
import { accessSync, constants, lstatSync, readlinkSync, statfsSync, type Stats, statSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';

/** Another user who can change a file or folder, and what the operator can do about it. */
export interface Doubt {
  readonly path: string;
  readonly message: string;
  /** Whether the gateway refuses the path; else it warns. */
  readonly refused: boolean;
  readonly kind: 'owner' | 'everybody' | 'group';
  /** Equal for doubts about the same people, of which one reading reports one. */
  readonly who: string;
}

/** The target of a path, and the doubts about everything that leads to it. */
export interface Walk {
  /** The path without symbolic links. */
  readonly real: string;
  readonly doubts: readonly Doubt[];
}

/** Gives the path by which to reach a path: the same, or one through a folder that is held open. */
export type Access = (path: string) => string;

/**
 * The numbers of Linux file systems without owners and modes of their own: FAT, exFAT, NTFS, SMB, FUSE, and 9P, with which WSL mounts the
 * disks of Windows. A mode there has no meaning and cannot be changed.
 */
const WITHOUT_MODES = new Set([
  0x4d44, 0x2011bab0, 0x5346544e, 0x7366746e, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997,
]);

/** Follows a path link by link, and collects the doubts about everything on the way. Throws what the file system says. */
export function walk(path: string, access: Access = (same) => same): Walk {
  const doubts: Doubt[] = [];
  const root = rootOf(path);
  let rest = partsOf(path.slice(root.length));
  let current = root;
  let links = 0;
  doubts.push(...judge(current, lstatSync(access(current))));
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === '..') {
      current = dirname(current);
      continue;
    }
    const next = join(current, part);
    const stats = lstatSync(access(next));
    doubts.push(...judge(next, stats));
    if (!stats.isSymbolicLink()) {
      current = next;
      continue;
    }
    links += 1;
    if (links > BOUNDS.configLinks) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
    const target = readlinkSync(access(next));
    const top = rootOf(target);
    if (top !== '') current = top;
    rest = [...partsOf(target.slice(top.length)), ...rest];
  }
  return { real: current, doubts };
}

/** The doubts about one file, folder or link. None under Windows, which has no such modes. */
export function judge(path: string, stats: Stats): Doubt[] {
  const user = process.geteuid?.();
  if (user === undefined) return [];
  const what = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'file';
  return [...ownerDoubts(path, { what, stats, user }), ...modeDoubts(path, { what, stats })];
}

interface Judged {
  readonly what: string;
  readonly stats: Stats;
}

/** A doubt where another user owns it. For root it is a warning, since root often reads files of users (sudo, containers); else a refusal, as in git and ssh. */
function ownerDoubts(path: string, { what, stats, user }: Judged & { readonly user: number }): Doubt[] {
  const { uid } = stats;
  if (uid === user || uid === 0 || uid === ownerOfEverything()) return [];
  const message =
    user === 0
      ? `user ${uid} owns this ${what}, and so decides what is started as root; run the gateway as that user, or give it to root (chown -h root ${quoted(path)})`
      : `user ${uid} owns this ${what}, and so decides what is started as user ${user}; give it to this user (sudo chown -h ${user} ${quoted(path)}), or name a configuration of your own with --config`;
  return [{ path, kind: 'owner', who: `owner ${uid}`, refused: user !== 0, message }];
}

/** A doubt where others may write. Not in a sticky folder, such as /tmp, where only owners can replace their files; and the mode of a link has no meaning. */
function modeDoubts(path: string, { what, stats }: Judged): Doubt[] {
  const { mode, uid, gid } = stats;
  if (what === 'link' || (what === 'folder' && (mode & 0o1000) !== 0) || (mode & 0o022) === 0) return [];
  if (isReadOnly(path)) return [];
  if ((mode & 0o002) !== 0) {
    const keeps = keepsModes(path);
    const advice = keeps
      ? `take the right away (chmod o-w ${quoted(path)})`
      : 'this file system keeps no modes, so keep the configuration on another one if this machine has other users';
    const message = `everybody on this machine may change this ${what}, and so decide what is started; ${advice}`;
    return [{ path, kind: 'everybody', who: keeps ? `everybody ${path}` : 'everybody', refused: keeps, message }];
  }
  // a group with the owner's number is the owner's own; the group of root counts as root
  if (gid === 0 || gid === uid) return [];
  const message = `group ${gid} may change this ${what}, and so decide what is started; if others are in that group, take the right away (chmod g-w ${quoted(path)})`;
  return [{ path, kind: 'group', who: `group ${gid}`, refused: false, message }];
}

/** The owner of `/`, who can replace everything. In a user namespace without root, that is not user 0. */
function ownerOfEverything(): number {
  return statSync('/').uid;
}

/** Whether the mount is read-only, as that of a Kubernetes ConfigMap, whose files have mode 0777. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EROFS';
  }
}

function keepsModes(path: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return !WITHOUT_MODES.has(statfsSync(path).type);
  } catch {
    return true; // it no longer exists, which the read of the file reports
  }
}

/** The root of a path; empty for a relative path. */
function rootOf(path: string): string {
  return parse(path).root;
}

function partsOf(path: string): string[] {
  return path.split(process.platform === 'win32' ? /[/\\]/ : '/').filter((part) => part !== '' && part !== '.');
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
