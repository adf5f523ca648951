// The folders of a configuration, held open from their first use: a path that leads to another folder later is refused.
import { lstatSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { faultOf, isMissing, listDirectory, MAX_DROPPED_FILES, readRegularFile } from './files.ts';
import { Folder } from './folder.ts';
import { fileProblem } from './positions.ts';
import type { Problem } from './problems.ts';
import { realOf } from './real-path.ts';
import { type Access, type Doubt, judge, walk } from './trust.ts';

/** A file that was read, and what is wrong with it; without a text it is not used. */
export interface ConfigRead {
  readonly text?: string;
  readonly problems: readonly Problem[];
}

/** The files of servers.d in lexical order: those that are read, and those that look as if they should be. */
export interface DropListing {
  readonly files: readonly string[];
  readonly others: readonly string[];
  /** An error among them means that nobody knows what the folder should hold. */
  readonly problems: readonly Problem[];
}

/** Where the files of a configuration are, without any link. */
export interface ConfigPlaces {
  readonly files: readonly string[];
  readonly dropFolder: string;
}

/** The folder beside the main file. */
export const DROP_FOLDER = 'servers.d';

const REPLACED =
  'is another folder than the one that this gateway has read its configuration from; nothing is read from it: restart the gateway if the new one is right, else put the old one back';
const GONE =
  'is gone, or cannot be reached; put the folder back that this gateway has read its configuration from, or restart the gateway';

/**
 * Reads the main file and servers.d. What a server has put in the place of one of their folders, or of a folder that a link leads to, is
 * never read: a server that can rename a folder could otherwise write a configuration of its own. What reloads owns this object, and closes it in the end.
 */
export class ConfigFolders {
  /** The main file, absolute. */
  readonly file: string;
  readonly directory: string;
  private readonly dropFolder: string;
  /** By the path that they are looked for at. */
  private readonly held = new Map<string, Folder>();
  private readonly used = new Set<string>();
  private told = new Set<string>();

  constructor(file: string) {
    this.file = resolve(file);
    this.directory = dirname(this.file);
    this.dropFolder = join(this.directory, DROP_FOLDER);
  }

  /** Reads the main file; a reading of the whole configuration begins with it. */
  readMain(): ConfigRead {
    this.told = new Set();
    this.used.clear();
    let found: Found;
    try {
      found = this.hold(this.directory);
    } catch (error) {
      // what is missing at the start is missed as the file
      const fault = error instanceof FolderFault ? error.problem : fileProblem(this.file, faultOf(error));
      return { problems: [fault] };
    }
    const doubts = this.tell(found.doubts);
    const read = this.read(found.folder, this.file);
    const problems = [...doubts, ...this.tell(read.doubts), ...read.problems];
    return { ...(read.text !== undefined && { text: read.text }), problems };
  }

  /** Lists servers.d, which need not be there. */
  listDropped(): DropListing {
    const path = this.dropFolder;
    try {
      const { folder, doubts } = this.hold(path);
      const names = listDirectory(folder.access(folder.real) ?? path);
      const paths = (some: readonly string[]) => some.map((name) => join(path, name));
      return { files: paths(names.files), others: paths(names.others), problems: this.tell(doubts) };
    } catch (error) {
      if (error instanceof FolderFault) return { files: [], others: [], problems: [error.problem] };
      return { files: [], others: [], problems: isMissing(error) ? [] : [fileProblem(path, faultOf(error))] };
    }
  }

  /** Reads a file of servers.d that was listed. Nothing of a file that others can change is used. */
  readDropped(file: string): ConfigRead {
    const folder = this.held.get(dirname(file));
    if (!folder) return { problems: [fileProblem(file, 'does not exist')] };
    const read = this.read(folder, file);
    const refusing = read.doubts.find(({ refused, kind }) => refused || (read.linked && kind !== 'group'));
    if (refusing) {
      const where = refusing.path === file ? '' : `is a symbolic link that leads over ${refusing.path}: `;
      return { problems: [fileProblem(file, `${where}${refusing.message}`)] };
    }
    return {
      ...(read.text !== undefined && { text: read.text }),
      problems: [...read.problems, ...this.tell(read.doubts)],
    };
  }

  /** Where the files of the last reading are; of those in servers.d the ones that links lead out of it to. */
  places(listed: readonly string[]): ConfigPlaces {
    const dropFolder = realOf(this.dropFolder);
    const dropped = listed.slice(0, MAX_DROPPED_FILES).map(realOf);
    return {
      files: [
        join(realOf(this.directory), basename(this.file)),
        realOf(this.file),
        ...dropped.filter((file) => dirname(file) !== dropFolder),
      ],
      dropFolder,
    };
  }

  /** Where folders cannot be read through, one may have been replaced during the reading. */
  confirm(): Problem | undefined {
    const still = this.held.get(this.directory)?.isAt(this.directory) ?? true;
    return still ? undefined : fileProblem(this.directory, REPLACED);
  }

  /** Lets go of the folders that links led to before this reading, which is in force now. */
  release(): void {
    for (const [path, folder] of this.held) {
      // servers.d is held for as long as the main folder: it may go, but not come back as another one
      if (this.used.has(path) || path === this.dropFolder) continue;
      folder.close();
      this.held.delete(path);
    }
  }

  close(): void {
    for (const folder of this.held.values()) folder.close();
    this.held.clear();
  }

  /** The folder at a path, opened if it is met for the first time. Throws FolderFault where it is another one than before. */
  private hold(path: string): Found {
    const held = this.held.get(path);
    this.used.add(path);
    try {
      const access = this.accessTo(path);
      const { real, doubts } = walk(path, access);
      if (held && !held.isAt(access(real))) throw new FolderFault(fileProblem(path, REPLACED));
      const folder = held ?? new Folder(real, access(real));
      this.held.set(path, folder);
      return { folder, doubts };
    } catch (error) {
      if (!held || error instanceof FolderFault) throw error;
      // a servers.d that was removed takes its servers away, as its files would one by one
      if (isMissing(error) && path === this.dropFolder) throw error;
      throw new FolderFault(fileProblem(path, GONE));
    }
  }

  /** How a folder is looked for: never through itself, or it would always be found. */
  private accessTo(path: string): Access {
    if (path === this.directory) return (same) => same;
    return path === this.dropFolder ? (some) => this.held.get(this.directory)?.access(some) ?? some : this.access;
  }

  /** Through the folders that were found to be the right ones: servers.d, and the main file's. */
  private readonly access: Access = (path) =>
    this.held.get(this.dropFolder)?.access(path) ?? this.held.get(this.directory)?.access(path) ?? path;

  /** Reads a file of a folder, or what a link there leads to. */
  private read(folder: Folder, file: string): Read {
    const path = join(folder.real, basename(file));
    try {
      if (lstatSync(this.access(path)).isSymbolicLink()) return this.readLinked(path, file);
      const read = readRegularFile(this.access(path), { follow: false });
      if ('fault' in read) return { ...UNREAD, problems: [fileProblem(file, read.fault)] };
      return { text: read.text, linked: false, doubts: judge(file, read.stats), problems: [] };
    } catch (error) {
      return { ...UNREAD, problems: [fileProblem(file, faultOf(error))] };
    }
  }

  private readLinked(path: string, file: string): Read {
    const refuse = (fault: string): Read => ({ ...UNREAD, linked: true, problems: [fileProblem(file, fault)] });
    try {
      const { real, doubts } = walk(path, this.access);
      const { folder } = this.hold(dirname(real));
      const read = readRegularFile(folder.access(real) ?? real, { follow: false });
      return 'fault' in read ? refuse(read.fault) : { text: read.text, linked: true, doubts, problems: [] };
    } catch (error) {
      if (error instanceof FolderFault)
        return refuse(`is a symbolic link into ${error.problem.file}, which ${error.problem.message}`);
      return refuse(isMissing(error) ? 'is a symbolic link to a file that does not exist' : faultOf(error));
    }
  }

  /** What was not said yet in this reading: a warning about the same people is given once. */
  private tell(doubts: readonly Doubt[]): Problem[] {
    const fresh = doubts.filter(({ who }) => !this.told.has(who));
    for (const { who } of fresh) this.told.add(who);
    const first = fresh.filter(({ who }, index) => fresh.findIndex((other) => other.who === who) === index);
    return first.map(({ path, message, refused }) => fileProblem(path, message, refused ? 'error' : 'warning'));
  }
}

interface Found {
  readonly folder: Folder;
  readonly doubts: readonly Doubt[];
}

interface Read extends ConfigRead {
  readonly doubts: readonly Doubt[];
  readonly linked: boolean;
}

const UNREAD = { linked: false, doubts: [] } as const;

/** A folder that may not be read from; the problem is complete. */
class FolderFault extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}
