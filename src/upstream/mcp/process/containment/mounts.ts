// The mounts that hide the gateway's files from servers, and the script that makes them.
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import type { ProtectedPaths } from './containment.ts';
import type { Tools } from './machine.ts';

/**
 * Its arguments end with steps of four words each: VERB PATH FIELD OPTIONS. FIELD is the path as a table of mounts (fstab(5)) writes it.
 * The script writes such a table and mounts all of it with one process, since a process costs ten times as much as a mount.
 *
 * - `pin` mounts a folder on itself, since a mount point cannot be renamed or removed. Without it, a server could move away the folder above
 *   a read-only one.
 * - `fix` makes a folder or file read-only.
 * - `lock` does that in a namespace that others were copied from. A new mount spreads to the copies, but new options of a mount do not. So the
 *   script mounts the path elsewhere with the options, and mounts that on the path. The mount elsewhere is private, or the last mount would
 *   spread to it too.
 * - `hide` mounts an unreadable file over a file, `empty` an empty folder over a folder. For each the script runs `tell hidden`.
 *
 * A step that is done already, or whose path does not exist (yet), changes nothing.
 */
const MOUNT_SCRIPT = `
set -e
PATH=/usr/bin:/bin
mount=$1 umount=$2 cat=$3 phase=$4 cover=$5 field=$6 tell=$7
shift 7
table=$cover/scratch/table

covered() { [ "$1" -ef "$2" ] || [ ! -e "$1" ]; }
row() { printf '%s %s none %s 0 0\\n' "$1" "$2" "$3"; }

rows() {
  group=$1
  shift
  while [ $# -gt 0 ]; do
    case $group.$1 in
      fixed.pin) row "$3" "$3" rbind ;;
      fixed.fix) if [ -w "$2" ]; then row "$3" "$3" "rbind,ro$4"; fi ;;
      loose.hide) covered "$2" "$cover/hidden" || row "$field/hidden" "$3" bind ;;
      loose.empty) covered "$2" "$cover/empty" || row "$field/empty" "$3" bind ;;
    esac
    shift 4
  done
}

lock() {
  if [ ! -w "$1" ]; then return 0; fi
  if [ -d "$1" ]; then way=$cover/folder; else way=$cover/file; fi
  "$mount" -o rbind "$1" "$way"
  "$mount" --make-rprivate "$way"
  "$mount" -o "remount,bind,ro$2" "$way"
  "$mount" -o rbind "$way" "$1"
  "$umount" -l "$way"
  if [ -w "$1" ]; then echo "$1 could not be made read-only" >&2; exit 1; fi
}

# A file that was replaced in between is no longer covered.
again() { covered "$2" "$1" || "$mount" -o bind "$1" "$2" || covered "$2" "$1"; }

check() {
  while [ $# -gt 0 ]; do
    case $1 in
      fix|lock) lock "$2" "$4" ;;
      hide) again "$cover/hidden" "$2" ;;
      empty) again "$cover/empty" "$2" ;;
    esac
    shift 4
  done
}

if [ $phase = first ]; then
  "$mount" -t tmpfs -o size=${BOUNDS.coverFiles},mode=0755 mcp-gateway "$cover"
  (umask 222; mkdir "$cover/empty")
  (umask 777; : > "$cover/hidden"; : > "$cover/file"; mkdir "$cover/folder" "$cover/scratch")
  "$mount" -o remount,bind,ro "$cover"
fi
"$mount" -t tmpfs -o size=${BOUNDS.coverFiles},mode=0700 mcp-gateway "$cover/scratch"
rows fixed "$@" > "$table"
if [ -s "$table" ]; then "$mount" -a -T "$table"; fi
rows loose "$@" > "$table.loose"
if [ -s "$table.loose" ]; then
  while read -r line; do $tell hidden; done < "$table.loose"
  "$mount" -a -T "$table.loose" || :
fi
: > "$table"; : > "$table.loose"
"$umount" -l "$cover/scratch"
check "$@"
if [ $phase = first ]; then
  "$mount" --make-rshared /
  "$mount" --make-rprivate "$cover"
  exec "$cat"
fi
`;

type Step = readonly [verb: 'pin' | 'fix' | 'lock' | 'hide' | 'empty', path: string, field: string, options: string];

const step = (verb: Step[0], path: string, options = ''): Step => [verb, path, fieldOf(path), options];

/** A script, and the folders that must be mount points after it. */
interface FirstScript {
  readonly script: readonly string[];
  readonly pins: readonly string[];
}

/** The arguments of `sh` in a fresh mount namespace, from which those of servers are copied. It stays, and echoes its input. */
export function firstScript(tools: Tools, paths: ProtectedPaths): FirstScript {
  const { state, readOnly } = paths;
  const all = [state, ...paths.hiddenFolders, ...paths.hiddenFiles, ...readOnly].map(realPath).filter(isThere);
  const fixed = readOnly.map(realPath).filter(isThere);
  // nothing inside a read-only folder can be renamed
  const isFixed = (path: string) => fixed.some((folder) => path === folder || path.startsWith(folder + sep));
  const pins = [...new Set(all.flatMap(above))].filter((folder) => isMovable(folder) && !isFixed(folder));
  // Pins come first, since a mount on a folder hides earlier mounts below it. They are made before any mount is shared: a mount on a
  // shared mount spreads to its copies, and each pin is a copy.
  const steps = [...pins.sort(byLength).map((path) => step('pin', path)), ...hidingSteps('fix', paths)];
  return { script: scriptOf(tools, { phase: 'first', tell: ':', state, steps }), pins };
}

/** The arguments of `sh` that hide what is not hidden yet. It prints `hidden` for each. */
export function renewingScript(tools: Tools, paths: ProtectedPaths): string[] {
  return scriptOf(tools, { phase: 'renew', tell: 'echo', state: paths.state, steps: hidingSteps('lock', paths) });
}

function hidingSteps(verb: 'fix' | 'lock', { state, hiddenFolders, hiddenFiles, readOnly }: ProtectedPaths): Step[] {
  const mounts = mountOptions(process.pid);
  const real = (paths: readonly string[]) => [...new Set(paths.map(realPath))];
  return [
    ...real(readOnly)
      .sort(byLength)
      .map((path) => step(verb, path, keptOptions(path, mounts))),
    ...real(hiddenFolders)
      .filter((folder) => folder !== realPath(state))
      .map((path) => step('empty', path)),
    ...real(hiddenFiles).map((path) => step('hide', path)),
  ];
}

interface Script {
  readonly phase: 'first' | 'renew';
  readonly tell: 'echo' | ':';
  readonly state: string;
  readonly steps: readonly Step[];
}

function scriptOf(tools: Tools, { phase, tell, state, steps }: Script): string[] {
  const cover = realPath(state);
  const { mount, umount, cat } = tools;
  return ['-c', MOUNT_SCRIPT, 'sh', mount, umount, cat, phase, cover, fieldOf(cover), tell, ...steps.flat()];
}

/** A path as a field of a table of mounts, which ends at a space. */
function fieldOf(path: string): string {
  return path.replace(/[\u0000-\u0020#\\\u007f]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

const byLength = (a: string, b: string) => a.length - b.length;

/** Every folder above a path but the root, which cannot be renamed. */
function above(path: string): string[] {
  const folder = dirname(path);
  return folder === path || dirname(folder) === folder ? [] : [...above(folder), folder];
}

/** Whether this user may write into the folder above, and so rename the path. */
function isMovable(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The target of a link, since a mount lies there. A path that does not exist (yet) stays as it is. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

interface MountOptions {
  readonly at: string;
  readonly options: string;
}

/** The folders that are not mount points in the namespace of a process. */
export function unpinned(folders: readonly string[], pid: number): string[] {
  const points = new Set(mountOptions(pid).map(({ at }) => at));
  return folders.filter((folder) => !points.has(folder));
}

/** The mounts in the namespace of a process. Of several on one path the last one counts. */
function mountOptions(pid: number): MountOptions[] {
  const unescape = (text: string) =>
    Buffer.from(
      text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8))),
      'latin1',
    ).toString();
  return readFileSync(`/proc/${pid}/mountinfo`, 'latin1')
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, , , , at = '', options = '']) => ({ at: unescape(at), options }));
}

/** The options to repeat when a path is mounted again: the kernel refuses a mount that drops a locked option. */
function keptOptions(path: string, mounts: readonly MountOptions[]): string {
  const holds = ({ at }: MountOptions) => at === '/' || path === at || path.startsWith(at + sep);
  const longest = mounts.filter(holds).reduce((best, each) => (each.at.length >= best.at.length ? each : best), {
    at: '',
    options: '',
  });
  const kept = longest.options.split(',').filter((option) => ['nosuid', 'nodev', 'noexec'].includes(option));
  return kept.map((option) => `,${option}`).join('');
}
