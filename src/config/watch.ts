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

/** A running watch. `ready` rejects where the system refuses to watch; once it resolves, the watch misses no change. */
export interface ConfigWatch {
  readonly ready: Promise<void>;
  close(): void;
}

interface Watched {
  readonly watcher: FSWatcher;
  readonly inode: number;
}

/** Starts to watch. */
export function watchConfig({ file, ...options }: WatchOptions): ConfigWatch {
  const watch = new ConfigWatcher(resolve(file), options);
  try {
    watch.arm();
    return { ready: Promise.resolve(), close: () => watch.close() };
  } catch (error) {
    watch.close();
    const ready = Promise.reject(
      new Error(`${dirname(file)} cannot be watched, so changes are not seen; reload by hand, or allow more watches`, {
        cause: error,
      }),
    );
    return { ready, close: () => watch.close() };
  }
}

class ConfigWatcher {
  readonly #file: string;
  readonly #onChange: () => void;
  readonly #atOnce: (() => void) | undefined;
  readonly #bounds: Bounds;
  readonly #watched = new Map<string, Watched>();
  /** The real paths of the main file and of the links in servers.d. */
  #targets: ReadonlySet<string>;
  #timer: NodeJS.Timeout | undefined;
  /** When the current burst began. */
  #since = 0;

  constructor(file: string, { onChange, onEvent, bounds = BOUNDS }: Omit<WatchOptions, 'file'>) {
    this.#file = file;
    this.#onChange = onChange;
    this.#atOnce = onEvent;
    this.#bounds = bounds;
    this.#targets = this.#follow();
  }

  /** Watches those of the directories that exist now, and closes the watchers of directories that were replaced. */
  arm(): void {
    const wanted = this.#directories();
    for (const [directory, { watcher, inode }] of this.#watched) {
      if (wanted.get(directory) === inode) continue;
      watcher.close();
      this.#watched.delete(directory);
    }
    for (const [directory, inode] of wanted) {
      if (this.#watched.has(directory)) continue;
      const watcher = watch(directory, { persistent: false }, (_event, name) => this.#onEvent(directory, name));
      watcher.on('error', () => this.#onEvent(directory, null));
      this.#watched.set(directory, { watcher, inode });
    }
  }

  #release(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  /** The directories to watch: that of the main file or its nearest ancestor that exists, those of link targets, servers.d. */
  #directories(): Map<string, number> {
    const home = nearestExisting(dirname(this.#file));
    const candidates = [home, join(dirname(this.#file), DROP_FOLDER)];
    for (const target of this.#targets) candidates.push(dirname(target));
    const found = candidates.map((directory) => [directory, inodeOf(directory)] as const);
    return new Map(found.filter((pair): pair is [string, number] => pair[1] !== undefined));
  }

  #follow(): Set<string> {
    const links = linksIn(join(dirname(this.#file), DROP_FOLDER)).filter((file) => file.endsWith('.json'));
    const targets = [this.#file, ...links].map(targetOf);
    return new Set(targets.filter((target) => target !== undefined));
  }

  #onEvent(directory: string, name: string | null): void {
    // the system reuses inode numbers: a folder that was removed and created again at once may have the same one
    if (name === DROP_FOLDER && directory === dirname(this.#file)) this.#release(join(directory, name));
    const before = [...this.#watched].map(([path, { inode }]) => `${path}:${inode}`).join('\n');
    const targets = this.#follow();
    const moved = [...targets].join('\n') !== [...this.#targets].join('\n');
    this.#targets = targets;
    this.#rearm();
    const after = [...this.#watched].map(([path, { inode }]) => `${path}:${inode}`).join('\n');
    if (moved || before !== after || this.#concerns(directory, name)) this.#schedule();
  }

  /** Watches again after an event. Where that fails, it reports the change nevertheless, and the next event tries again. */
  #rearm(): void {
    try {
      this.arm();
    } catch {
      this.#schedule();
    }
  }

  #concerns(directory: string, name: string | null): boolean {
    if (name === null) return true;
    const path = join(directory, name);
    if (path === this.#file || this.#targets.has(path)) return true;
    const dropped = directory === join(dirname(this.#file), DROP_FOLDER);
    return dropped ? name.endsWith('.json') && !name.startsWith('.') : path === join(dirname(this.#file), DROP_FOLDER);
  }

  #schedule(): void {
    this.#atOnce?.();
    const now = performance.now();
    if (this.#timer === undefined) this.#since = now;
    else if (now - this.#since > this.#bounds.reloadDelay) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fire(), this.#bounds.reloadQuiet);
  }

  #fire(): void {
    this.#timer = undefined;
    this.#rearm();
    this.#onChange();
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
