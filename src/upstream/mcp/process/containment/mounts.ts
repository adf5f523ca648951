// Which mounts keep the gateway's files from servers, and the script that makes them.
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import type { ProtectedPaths } from './containment.ts';
import type { Tools } from './machine.ts';

/**
 * Called with VERB PATH FIELD OPTIONS, again and again; FIELD is the path as a table of mounts writes it. All that can be mounted
 * at once is written into such a table, since a mount costs a tenth of the process that makes it.
 *
 * `pin` mounts a folder on itself, since a mount point cannot be renamed or removed, and a read-only mount of a folder does not help
 * while the folder above it can be moved away. `fix` makes a folder or file read-only. `lock` does that in a namespace from which
 * others are copied already: by way of a mount elsewhere, since what is mounted spreads to them and what is mounted again with other
 * options does not, and of a private one, since else it would itself be one of those that a mount spreads to. `hide` covers a file,
 * `empty` a folder; for each of them it runs `tell hidden`. What is done already is left as it is, and what is not there (yet) too.
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

# What was replaced in between has lost its cover again.
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

/** What `sh` is called with in a fresh mount namespace, from which those of servers are copied: it stays, and echoes its input. */
export function firstScript(tools: Tools, paths: ProtectedPaths): FirstScript {
  const { state, readOnly } = paths;
  const all = [state, ...paths.hiddenFolders, ...paths.hiddenFiles, ...readOnly].map(realPath).filter(isThere);
  const fixed = readOnly.map(realPath).filter(isThere);
  // Nothing inside a read-only folder can be renamed.
  const isFixed = (path: string) => fixed.some((folder) => path === folder || path.startsWith(folder + sep));
  const pins = [...new Set(all.flatMap(above))].filter((folder) => isMovable(folder) && !isFixed(folder));
  // Pins first: a mount on a folder hides the mounts below it that do not come with it. They are made before anything is shared,
  // since what is mounted on a shared mount is mounted on all its copies too, and each pin is a copy.
  const steps = [...pins.sort(byLength).map((path) => step('pin', path)), ...hidingSteps('fix', paths)];
  return { script: scriptOf(tools, { phase: 'first', tell: ':', state, steps }), pins };
}

/** What `sh` is called with to hide what is not hidden yet: it says `hidden` for each. */
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

/** A path in a table of mounts (fstab(5)), whose fields end at a space. */
function fieldOf(path: string): string {
  return path.replace(/[\u0000-\u0020#\\\u007f]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

const byLength = (a: string, b: string) => a.length - b.length;

/** Every folder above a path, without the root, which cannot be renamed. */
function above(path: string): string[] {
  const folder = dirname(path);
  return folder === path || dirname(folder) === folder ? [] : [...above(folder), folder];
}

/** Whoever may write into a folder may rename what is in it. */
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

/** A mount lies on what a link leads to. A path that is not there (yet) stays as it is. */
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

/** Those of the folders on which nothing is mounted for a process. */
export function unpinned(folders: readonly string[], pid: number): string[] {
  const points = new Set(mountOptions(pid).map(({ at }) => at));
  return folders.filter((folder) => !points.has(folder));
}

/** The mounts of a process, the last one on a place being the one that counts. */
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

/** Mounting anew takes off the options that are not named, and where those are locked it is refused. */
function keptOptions(path: string, mounts: readonly MountOptions[]): string {
  const holds = ({ at }: MountOptions) => at === '/' || path === at || path.startsWith(at + sep);
  const longest = mounts.filter(holds).reduce((best, each) => (each.at.length >= best.at.length ? each : best), {
    at: '',
    options: '',
  });
  const kept = longest.options.split(',').filter((option) => ['nosuid', 'nodev', 'noexec'].includes(option));
  return kept.map((option) => `,${option}`).join('');
}
