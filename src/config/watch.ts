// Watches the files of a configuration: directories rather than files, so that replaced and re-created files stay watched.
import { type FSWatcher, readdirSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { MAX_DROPPED_FILES } from './files.ts';
import { DROP_FOLDER } from './folders.ts';

/** What to watch, and what to do when it changed. */
export interface WatchOptions {
  /** The main file; servers.d is looked for beside it. */
  readonly file: string;
  readonly onChange: () => void;
  /** Called at once, at every event of a burst. */
  readonly onEvent?: (() => void) | undefined;
  /** How long it must be quiet before `onChange` is called, in milliseconds. */
  readonly debounceMs?: number;
}

/** A running watch. Await `ready`: it rejects when the system lets nothing be watched; a change after it is never missed. */
export interface ConfigWatch {
  readonly ready: Promise<void>;
  close(): void;
}

interface Watched {
  readonly watcher: FSWatcher;
  readonly inode: number;
}

const DEBOUNCE_MS = 100;
/** Writing without a pause must not put a change off for ever: this many quiet times at most. */
const LONGEST_DELAY = 5;

/** Starts to watch; one call of `onChange` for a burst of changes. */
export function watchConfig({ file, onChange, onEvent, debounceMs = DEBOUNCE_MS }: WatchOptions): ConfigWatch {
  const watch = new ConfigWatcher(resolve(file), { onChange, onEvent, debounceMs });
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
  readonly #debounceMs: number;
  readonly #watched = new Map<string, Watched>();
  /** Where the main file, and what is a link in servers.d, lead to. */
  #targets: ReadonlySet<string>;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  constructor(file: string, { onChange, onEvent, debounceMs }: Omit<WatchOptions, 'file'> & { debounceMs: number }) {
    this.#file = file;
    this.#onChange = onChange;
    this.#atOnce = onEvent;
    this.#debounceMs = debounceMs;
    this.#targets = this.#follow();
  }

  /** Watches what exists now of the directories that matter, and lets go of what was replaced. */
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

  /** The main file's directory, or its nearest ancestor that exists; where a link leads; servers.d. */
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
    // inode numbers are used again: a folder removed and made anew at once may have the one that it had before
    if (name === DROP_FOLDER && directory === dirname(this.#file)) this.#release(join(directory, name));
    const before = [...this.#watched].map(([path, { inode }]) => `${path}:${inode}`).join('\n');
    const targets = this.#follow();
    const moved = [...targets].join('\n') !== [...this.#targets].join('\n');
    this.#targets = targets;
    this.#rearm();
    const after = [...this.#watched].map(([path, { inode }]) => `${path}:${inode}`).join('\n');
    if (moved || before !== after || this.#concerns(directory, name)) this.#schedule();
  }

  /** What cannot be watched again now is tried at the next event; the change itself is reported in any case. */
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
    else if (now - this.#since > this.#debounceMs * LONGEST_DELAY) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fire(), this.#debounceMs);
  }

  #fire(): void {
    this.#timer = undefined;
    this.#rearm();
    this.#onChange();
  }
}

/** The file itself, wherever links lead to. */
function targetOf(file: string): string | undefined {
  try {
    return realpathSync(file);
  } catch {
    return undefined;
  }
}

/** The files of servers.d that are links: a mounted folder changes by one link that all of them go through. */
function linksIn(folder: string): string[] {
  try {
    const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
    return names.slice(0, MAX_DROPPED_FILES).map(({ name }) => join(folder, name));
  } catch {
    return []; // it is not there, or no folder
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
