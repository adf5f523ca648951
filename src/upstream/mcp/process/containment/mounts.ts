// Which mounts keep the gateway's files from servers, and the script that makes them.
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import type { ProtectedPaths } from './containment.ts';
import type { Tools } from './machine.ts';

/**
 * Makes mounts one after the other: VERB PATH OPTIONS, again and again. For each cover that it puts on it runs `tell hidden`.
 *
 * `pin` mounts a folder on itself, since a mount point cannot be renamed or removed, and a read-only mount of a folder does not help
 * while the folder above it can be moved away. `cover` puts an empty file system on a folder, in which lies what covers the rest.
 * `lock` makes a folder or file read-only; by way of a mount elsewhere, since what is mounted spreads to servers that run and what is
 * mounted again with other options does not, and a private one, since else it would itself be one of those that a mount spreads to. `hide` covers a file, `empty` a folder. What is done already is left as it is.
 */
const MOUNT_SCRIPT = `
set -e
PATH=/usr/bin:/bin
mount=$1 umount=$2 cover=$3 tell=$4
shift 4
while [ $# -gt 0 ]; do
  verb=$1 path=$2 options=$3
  shift 3
  case $verb in
    pin) "$mount" -o rbind "$path" "$path" ;;
    cover)
      "$mount" -t tmpfs -o size=64k,mode=0755 mcp-gateway "$path"
      (umask 222; mkdir "$path/empty")
      (umask 777; : > "$path/hidden"; : > "$path/file"; mkdir "$path/folder")
      "$mount" -o remount,bind,ro "$path" ;;
    lock)
      if [ ! -e "$path" ] || [ ! -w "$path" ]; then continue; fi
      if [ -d "$path" ]; then way=$cover/folder; else way=$cover/file; fi
      "$mount" -o rbind "$path" "$way"
      "$mount" --make-rprivate "$way"
      "$mount" -o "remount,bind,ro$options" "$way"
      "$mount" -o rbind "$way" "$path"
      "$umount" -l "$way" ;;
    hide)
      if [ ! -f "$path" ] || [ "$path" -ef "$cover/hidden" ]; then continue; fi
      "$mount" -o bind "$cover/hidden" "$path" || [ ! -e "$path" ]
      $tell hidden ;;
    empty)
      if [ ! -d "$path" ] || [ "$path" -ef "$cover/empty" ]; then continue; fi
      "$mount" -o bind "$cover/empty" "$path"
      $tell hidden ;;
    spread)
      "$mount" --make-rshared /
      "$mount" --make-private "$cover" ;;
    hold) exec "$path" ;;
  esac
done
`;

type Step = readonly [
  verb: 'pin' | 'cover' | 'lock' | 'hide' | 'empty' | 'spread' | 'hold',
  path: string,
  options: string,
];

/** The steps in a fresh mount namespace; servers' namespaces are copied from it. */
export function firstSteps(paths: ProtectedPaths): Step[] {
  const { state, readOnly } = paths;
  const all = [state, ...paths.hiddenFolders, ...paths.hiddenFiles, ...readOnly].map(realPath).filter(isThere);
  const locked = readOnly.map(realPath).filter(isThere);
  // Nothing inside a read-only folder can be renamed.
  const fixed = (path: string) => locked.some((folder) => path === folder || path.startsWith(folder + sep));
  const pins = [...new Set(all.flatMap(above))].filter((folder) => isMovable(folder) && !fixed(folder));
  return [
    // A mount on a folder hides the mounts below it that were made earlier.
    ...pins.sort((a, b) => a.length - b.length).map((path): Step => ['pin', path, '']),
    ['cover', realPath(state), ''],
    ...renewedSteps(paths),
    // Shared only now: what is mounted on a shared mount is mounted on all its copies too, and each pin is a copy.
    ['spread', '', ''],
  ];
}

/** The steps that hide what is not hidden yet. */
export function renewedSteps({ state, hiddenFolders, hiddenFiles, readOnly }: ProtectedPaths): Step[] {
  const mounts = mountOptions();
  const others = hiddenFolders.map(realPath).filter((folder) => folder !== realPath(state));
  const locked = [...new Set(readOnly.map(realPath))].sort((a, b) => a.length - b.length);
  return [
    ...locked.map((path): Step => ['lock', path, keptOptions(path, mounts)]),
    ...[...new Set(others)].map((path): Step => ['empty', path, '']),
    ...[...new Set(hiddenFiles.map(realPath))].map((path): Step => ['hide', path, '']),
  ];
}

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

/** The mounts of this process, the last one on a place being the one that counts. */
function mountOptions(): MountOptions[] {
  const unescape = (text: string) =>
    Buffer.from(
      text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8))),
      'latin1',
    ).toString();
  return readFileSync('/proc/self/mountinfo', 'latin1')
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

/** What `sh` is called with. */
export function scriptArguments(tools: Tools, run: ScriptRun): string[] {
  const { state, steps, tell } = run;
  return ['-c', MOUNT_SCRIPT, 'sh', tools.mount, tools.umount, realPath(state), tell, ...steps.flat()];
}

export interface ScriptRun {
  readonly state: string;
  readonly steps: readonly Step[];
  /** `echo`, or `:` to say nothing. */
  readonly tell: 'echo' | ':';
}
