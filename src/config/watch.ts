// Watches the files of a configuration: watches directories, not files, so that replaced and re-created files stay watched.
import { type FSWatcher, readdirSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { BOUNDS, type Bounds } from '../core/bounds/bounds.ts';
import { DROP_FOLDER } from './folders.ts';

/** What to watch, and what to call at a change. */
export interface WatchOptions {
  /** The main file; servers.d is beside it. */
  readonly file: string;
  /** Called once for a burst of changes: after `reloadQuiet` without an event, or `reloadDelay`. */
  readonly onChange: () => void;
  /** Called at once, at every event of a burst. */
  readonly onEvent?: (() => void) | undefined;
  readonly bounds?: Bounds;
}

interface Watched {
  readonly watcher: FSWatcher;
  readonly inode: number;
}

/** A running watch. */
export class ConfigWatch {
  /** Rejects where the system refuses to watch; once it resolves, the watch misses no change. */
  readonly ready: Promise<void>;
  private readonly file: string;
  private readonly dropFolder: string;
  private readonly options: WatchOptions;
  private readonly bounds: Bounds;
  private readonly watched = new Map<string, Watched>();
  /** The real paths of the main file and of the links in servers.d. */
  private targets: ReadonlySet<string>;
  private timer: NodeJS.Timeout | undefined;
  /** When the current burst began. */
  private since = 0;

  /** Starts to watch. */
  constructor(options: WatchOptions) {
    this.options = options;
    this.bounds = options.bounds ?? BOUNDS;
    this.file = resolve(options.file);
    this.dropFolder = join(dirname(this.file), DROP_FOLDER);
    this.targets = this.follow();
    this.ready = this.begin();
  }

  close(): void {
    clearTimeout(this.timer);
    for (const directory of this.watched.keys()) this.release(directory);
  }

  private begin(): Promise<void> {
    try {
      this.arm();
      return Promise.resolve();
    } catch (cause) {
      this.close();
      const folder = dirname(this.options.file);
      const message = `${folder} cannot be watched, so changes are not seen; reload by hand, or allow more watches`;
      return Promise.reject(new Error(message, { cause }));
    }
  }

  /** Watches those of the directories that exist now, and closes the watchers of directories that were replaced. */
  private arm(): void {
    const wanted = this.directories();
    for (const [directory, { inode }] of this.watched) if (wanted.get(directory) !== inode) this.release(directory);
    for (const [directory, inode] of wanted) {
      if (this.watched.has(directory)) continue;
      const watcher = watch(directory, { persistent: false }, (_event, name) => this.onEvent(directory, name));
      watcher.on('error', () => this.onEvent(directory, null));
      this.watched.set(directory, { watcher, inode });
    }
  }

  private release(directory: string): void {
    this.watched.get(directory)?.watcher.close();
    this.watched.delete(directory);
  }

  /** The directories to watch: that of the main file or its nearest ancestor that exists, those of link targets, servers.d. */
  private directories(): Map<string, number> {
    const candidates = [
      nearestExisting(dirname(this.file)),
      this.dropFolder,
      ...[...this.targets].map((one) => dirname(one)),
    ];
    const found = candidates.map((directory) => [directory, inodeOf(directory)] as const);
    return new Map(found.filter((pair): pair is [string, number] => pair[1] !== undefined));
  }

  private follow(): Set<string> {
    const links = linksIn(this.dropFolder).filter((file) => file.endsWith('.json'));
    const targets = [this.file, ...links].map(targetOf);
    return new Set(targets.filter((target) => target !== undefined));
  }

  private onEvent(directory: string, name: string | null): void {
    const inodes = () => [...this.watched].map(([path, { inode }]) => `${path}:${inode}`).join('\n');
    // the system reuses inode numbers: a folder that was removed and created again at once may have the same one
    if (name === DROP_FOLDER && directory === dirname(this.file)) this.release(this.dropFolder);
    const before = inodes();
    const targets = this.follow();
    const moved = [...targets].join('\n') !== [...this.targets].join('\n');
    this.targets = targets;
    this.rearm();
    if (moved || before !== inodes() || this.concerns(directory, name)) this.schedule();
  }

  /** Watches again after an event. Where that fails, it reports the change nevertheless, and the next event tries again. */
  private rearm(): void {
    try {
      this.arm();
    } catch {
      this.schedule();
    }
  }

  private concerns(directory: string, name: string | null): boolean {
    if (name === null) return true;
    const path = join(directory, name);
    if (path === this.file || this.targets.has(path) || path === this.dropFolder) return true;
    return directory === this.dropFolder && name.endsWith('.json') && !name.startsWith('.');
  }

  private schedule(): void {
    this.options.onEvent?.();
    const now = performance.now();
    if (this.timer === undefined) this.since = now;
    else if (now - this.since > this.bounds.reloadDelay) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fire(), this.bounds.reloadQuiet);
  }

  private fire(): void {
    this.timer = undefined;
    this.rearm();
    this.options.onChange();
  }
}

/** The real path of a file; undefined where it does not exist. */
function targetOf(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

/** The links in servers.d: in a mounted folder all files change with one link that they go through. */
function linksIn(folder: string): string[] {
  try {
    const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
    return names.slice(0, BOUNDS.serverFiles).map(({ name }) => join(folder, name));
  } catch {
    return []; // there is no such folder
  }
}

function inodeOf(directory: string): number | undefined {
  const stats = statSync(directory, { throwIfNoEntry: false });
  return stats?.isDirectory() === true ? stats.ino : undefined;
}

function nearestExisting(directory: string): string {
  let current = directory;
  while (inodeOf(current) === undefined && dirname(current) !== current) current = dirname(current);
  return current;
}
