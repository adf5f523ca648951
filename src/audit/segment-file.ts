// The segment that is written: a batch of lines goes to its end whole, or is taken back.
import { closeSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import type { Segment } from './segments.ts';

/** Bytes that are gathered for one write; a batch that is larger takes several. */
const BUFFER_BYTES = 256 * 1024;
/** Most bytes of UTF-8 that one unit of a string becomes. */
const BYTES_PER_UNIT = 3;
const LINE_BREAK = 10;

/** An open segment. Its methods throw what the file system says. */
export class SegmentFile {
  readonly segment: Segment;
  readonly #file: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #gathered = 0;
  /** Bytes up to the last commit. */
  #size: number;
  /** Bytes behind them, of a batch that is not committed. */
  #ahead = 0;

  private constructor(segment: Segment, { file, size }: { file: number; size: number }) {
    this.segment = segment;
    this.#file = file;
    this.#size = size;
  }

  /** Begins a segment; there must be no file of its name. */
  static create(segment: Segment): SegmentFile {
    return new SegmentFile(segment, { file: openSync(segment.path, 'ax', 0o600), size: 0 });
  }

  /** Goes on with a segment of so many bytes. */
  static resume(segment: Segment, size: number): SegmentFile {
    return new SegmentFile(segment, { file: openSync(segment.path, 'a', 0o600), size });
  }

  /** Bytes that are committed. */
  get size(): number {
    return this.#size;
  }

  /** Why what is written now would be lost, as the open file itself tells: one system call, for every batch. */
  whyCut(): string | undefined {
    const { nlink, size } = fstatSync(this.#file);
    if (nlink === 0) return 'it was removed';
    return size === this.#size ? undefined : `it has ${size} bytes instead of ${this.#size}`;
  }

  /** Why it is not the file at its path. */
  whyMoved(): string | undefined {
    const there = statSync(this.segment.path, { throwIfNoEntry: false });
    if (!there) return 'it was moved away';
    const ours = fstatSync(this.#file);
    return there.ino === ours.ino && there.dev === ours.dev ? undefined : 'another file is in its place';
  }

  /** Makes sure that the next line follows the last that was committed. */
  begin(): void {
    this.#gathered = 0;
    if (this.#ahead === 0) return;
    ftruncateSync(this.#file, this.#size);
    this.#ahead = 0;
  }

  /** Drops what was put since the last commit. */
  takeBack(): void {
    try {
      this.begin();
    } catch {
      // the next batch begins with it again, and says why it cannot
    }
  }

  /** Adds a line, which has no line break. */
  put(line: string): void {
    const most = line.length * BYTES_PER_UNIT + 1;
    if (most > this.#buffer.length - this.#gathered) {
      this.#flush();
      if (most > this.#buffer.length) {
        const bytes = Buffer.from(`${line}\n`);
        this.#write(bytes, bytes.length);
        return;
      }
    }
    this.#gathered += this.#buffer.write(line, this.#gathered);
    this.#buffer[this.#gathered++] = LINE_BREAK;
  }

  /** The lines since `begin` are in the file when it returns: in the page cache, which outlives this process. */
  commit(): void {
    this.#flush();
    this.#size += this.#ahead;
    this.#ahead = 0;
  }

  close(): void {
    closeSync(this.#file);
  }

  #flush(): void {
    this.#write(this.#buffer, this.#gathered);
    this.#gathered = 0;
  }

  /** A disk that is nearly full takes a part, and says so only when asked for the rest. */
  #write(bytes: Buffer, length: number): void {
    for (let done = 0; done < length;) {
      const written = writeSync(this.#file, bytes, done, length - done);
      done += written;
      this.#ahead += written;
    }
  }
}
