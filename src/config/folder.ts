// One folder that is held open, so that its files are read from it and not from another one that has taken its place.
import { closeSync, constants, existsSync, fstatSync, openSync, statSync } from 'node:fs';
import { sep } from 'node:path';

/** Absent on Windows, where a folder cannot be opened either. */
const DIRECTORY = constants.O_DIRECTORY as number | undefined;
/** O_PATH of Linux, which Node does not name: a folder need not be readable to be held. */
const HOLD = process.platform === 'linux' ? 0o10000000 : constants.O_RDONLY;
/** Linux shows the files of an open folder here, wherever that folder is by now. */
const DESCRIPTORS = '/proc/self/fd';
const readsThroughHandles = process.platform === 'linux' && existsSync(DESCRIPTORS);

/** A folder, and what tells it from another one at its path: while it is open, its number is not given to another. */
export class Folder {
  /** The path that it was opened by, without any link in it. */
  readonly real: string;
  private readonly descriptor: number | undefined;
  private readonly identity: string;

  /** Opens `real`, which is reached at `access`. Throws what the file system says. */
  constructor(real: string, access: string) {
    this.real = real;
    if (DIRECTORY === undefined) {
      this.identity = identityOf(statSync(access, { bigint: true }));
      return;
    }
    this.descriptor = openSync(access, HOLD | DIRECTORY);
    this.identity = identityOf(fstatSync(this.descriptor, { bigint: true }));
  }

  /** Tells whether a path leads here. */
  isAt(path: string): boolean {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stats !== undefined && identityOf(stats) === this.identity;
  }

  /** How something inside is reached; `path` is its path, or that of the folder. Undefined for what lies elsewhere. */
  access(path: string): string | undefined {
    if (path !== this.real && !path.startsWith(this.real.endsWith(sep) ? this.real : this.real + sep)) return undefined;
    if (!readsThroughHandles || this.descriptor === undefined) return path;
    // what is below the descriptor is the folder; the descriptor alone is a link to it
    return `${DESCRIPTORS}/${this.descriptor}/./${path.slice(this.real.length)}`;
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
  }
}

function identityOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}
