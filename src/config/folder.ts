// A folder that is held open, so that files are read from this folder and not from one that has replaced it at its path.
import { closeSync, constants, existsSync, fstatSync, openSync, statSync } from 'node:fs';
import { sep } from 'node:path';

/** Absent on Windows, which cannot open a folder. */
const DIRECTORY = constants.O_DIRECTORY as number | undefined;
/** O_PATH of Linux, which Node does not name: a folder need not be readable to be held. */
const HOLD = process.platform === 'linux' ? 0o10000000 : constants.O_RDONLY;
/** Under Linux the files of an open folder are reached here, also after the folder was moved. */
const DESCRIPTORS = '/proc/self/fd';
const readsThroughHandles = process.platform === 'linux' && existsSync(DESCRIPTORS);

/** An open folder and its device and inode number; the system gives that number to no other folder while this one is open. */
export class Folder {
  /** The path that it was opened by, without symbolic links. */
  readonly real: string;
  private readonly descriptor: number | undefined;
  private readonly identity: string;

  /** Opens the folder `real` by the path `access`. Throws what the file system says. */
  constructor(real: string, access: string) {
    this.real = real;
    if (DIRECTORY === undefined) {
      this.identity = identityOf(statSync(access, { bigint: true }));
      return;
    }
    this.descriptor = openSync(access, HOLD | DIRECTORY);
    this.identity = identityOf(fstatSync(this.descriptor, { bigint: true }));
  }

  /** Tells whether a path leads to this folder. */
  isAt(path: string): boolean {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats !== undefined && identityOf(stats) === this.identity;
  }

  /** The path by which to open `path` through this folder: something in the folder, or the folder itself. Undefined for other paths. */
  access(path: string): string | undefined {
    if (path !== this.real && !path.startsWith(this.real.endsWith(sep) ? this.real : this.real + sep)) return undefined;
    if (!readsThroughHandles || this.descriptor === undefined) return path;
    // with `/./` the path is that of the folder; the descriptor alone is a link to it
    return `${DESCRIPTORS}/${this.descriptor}/./${path.slice(this.real.length)}`;
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
  }
}

function identityOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}
