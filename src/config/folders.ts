// The folders of a configuration, held open from their first use: a path that later leads to another folder is refused.
import { lstatSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { faultOf, isMissing, listDirectory, readRegularFile } from './files.ts';
import { Folder } from './folder.ts';
import { fileProblem } from './positions.ts';
import type { Problem } from './problems.ts';
import { realOf } from './real-path.ts';
import { type Access, type Doubt, judge, walk } from './trust.ts';

/** The text of a file and its problems; absent where the file may not be used. */
export interface ConfigRead {
  readonly text?: string;
  readonly problems: readonly Problem[];
}

/** The files of servers.d in lexical order: those to read, and others that look like configurations. */
export interface DropListing {
  readonly files: readonly string[];
  readonly others: readonly string[];
  /** An error among them means that the folder cannot be read, so its servers are not known. */
  readonly problems: readonly Problem[];
}

/** The paths of a configuration's files without symbolic links. */
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
 * Reads the main file and servers.d. It reads nothing from a folder that has replaced one of theirs, or one that a link leads to: a server
 * that can rename a folder could otherwise write a configuration of its own. The owner keeps this object between reloads, and closes it.
 */
export class ConfigFolders {
  /** The main file, absolute. */
  readonly file: string;
  readonly directory: string;
  private readonly dropFolder: string;
  /** The open folders by their paths. */
  private readonly held = new Map<string, Folder>();
  /** The paths of the folders of the current reading. */
  private readonly used = new Set<string>();
  /** The people about whom the current reading has warned. */
  private warned = new Set<string>();

  constructor(file: string) {
    this.file = resolve(file);
    this.directory = dirname(this.file);
    this.dropFolder = join(this.directory, DROP_FOLDER);
  }

  /** Reads the main file, and begins a reading of the whole configuration. */
  readMain(): ConfigRead {
    this.warned = new Set();
    this.used.clear();
    let found: Found;
    try {
      found = this.hold(this.directory);
    } catch (error) {
      // the problem is about the file where its folder does not exist
      const fault = error instanceof FolderFault ? error.problem : fileProblem(this.file, faultOf(error));
      return { problems: [fault] };
    }
    const doubts = this.newProblems(found.doubts);
    const read = this.read(found.folder, this.file);
    const problems = [...doubts, ...this.newProblems(read.doubts), ...read.problems];
    return { ...(read.text !== undefined && { text: read.text }), problems };
  }

  /** Lists servers.d, which need not exist. */
  listDropped(): DropListing {
    const path = this.dropFolder;
    try {
      const { folder, doubts } = this.hold(path);
      const names = listDirectory(folder.access(folder.real) ?? path);
      const paths = (some: readonly string[]) => some.map((name) => join(path, name));
      return { files: paths(names.files), others: paths(names.others), problems: this.newProblems(doubts) };
    } catch (error) {
      if (error instanceof FolderFault) return { files: [], others: [], problems: [error.problem] };
      return { files: [], others: [], problems: isMissing(error) ? [] : [fileProblem(path, faultOf(error))] };
    }
  }

  /** Reads a listed file of servers.d. Refuses a file that others can change. */
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
      problems: [...read.problems, ...this.newProblems(read.doubts)],
    };
  }

  /** The paths of the files of the last reading; of servers.d only the files outside of it that its links lead to. */
  places(listed: readonly string[]): ConfigPlaces {
    const dropFolder = realOf(this.dropFolder);
    const dropped = listed.slice(0, BOUNDS.serverFiles).map(realOf);
    return {
      files: [
        join(realOf(this.directory), basename(this.file)),
        realOf(this.file),
        ...dropped.filter((file) => dirname(file) !== dropFolder),
      ],
      dropFolder,
    };
  }

  /** A problem where the main folder was replaced during the reading, which can only happen where files cannot be read through an open folder. */
  confirm(): Problem | undefined {
    const still = this.held.get(this.directory)?.isAt(this.directory) ?? true;
    return still ? undefined : fileProblem(this.directory, REPLACED);
  }

  /** Closes the folders that no path of this reading leads to, since its configuration is in force now. */
  release(): void {
    for (const [path, folder] of this.held) {
      // servers.d stays open as long as the main folder: it may disappear, but another folder may not replace it
      if (this.used.has(path) || path === this.dropFolder) continue;
      folder.close();
      this.held.delete(path);
    }
  }

  close(): void {
    for (const folder of this.held.values()) folder.close();
    this.held.clear();
  }

  /** The folder at a path, opened at its first use. Throws FolderFault where another folder has replaced it. */
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
      // removing servers.d removes its servers, as removing its files would
      if (isMissing(error) && path === this.dropFolder) throw error;
      throw new FolderFault(fileProblem(path, GONE));
    }
  }

  /** How to reach a folder: never through itself, since that would find it even after it was replaced. */
  private accessTo(path: string): Access {
    if (path === this.directory) return (same) => same;
    return path === this.dropFolder ? (some) => this.held.get(this.directory)?.access(some) ?? some : this.access;
  }

  /** Reaches a path through the open folder that it is in: servers.d, or that of the main file. */
  private readonly access: Access = (path) =>
    this.held.get(this.dropFolder)?.access(path) ?? this.held.get(this.directory)?.access(path) ?? path;

  /** Reads a file of a folder, or the file that a link there leads to. */
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

  /** The doubts as problems: one about each group of people in a reading. */
  private newProblems(doubts: readonly Doubt[]): Problem[] {
    const fresh = doubts.filter(({ who }) => !this.warned.has(who));
    for (const { who } of fresh) this.warned.add(who);
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

/** Nothing may be read from a folder; the problem says why. */
class FolderFault extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}
