// The segment that the log appends to, and the chain of hashes: a batch of lines is committed whole or removed again.
import { closeSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import type { Segment } from './segments.ts';
import { hash } from 'node:crypto';

/** Size of the buffer for one write; a larger batch takes several writes. */
const BUFFER_BYTES = 256 * 1024;
/** One UTF-16 unit of a string takes at most so many bytes of UTF-8. */
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
  /** Bytes after them, of a batch that is not committed. */
  #ahead = 0;

  private constructor(segment: Segment, { file, size }: { file: number; size: number }) {
    this.segment = segment;
    this.#file = file;
    this.#size = size;
  }

  /** Creates a segment; no file of its name may exist. */
  static create(segment: Segment): SegmentFile {
    return new SegmentFile(segment, { file: openSync(segment.path, 'ax', 0o600), size: 0 });
  }

  /** Opens an existing segment of so many bytes to append to it. */
  static resume(segment: Segment, size: number): SegmentFile {
    return new SegmentFile(segment, { file: openSync(segment.path, 'a', 0o600), size });
  }

  /** Bytes that are committed. */
  get size(): number {
    return this.#size;
  }

  /** Why a batch that is written now would be lost; undefined where it would not. Asks the open file: one system call for every batch. */
  whyCut(): string | undefined {
    const { nlink, size } = fstatSync(this.#file);
    if (nlink === 0) return 'it was removed';
    return size === this.#size ? undefined : `it has ${size} bytes instead of ${this.#size}`;
  }

  /** Why the open file is not the file at its path; undefined where it is. */
  whyMoved(): string | undefined {
    const found = statSync(this.segment.path, { throwIfNoEntry: false });
    if (!found) return 'it was moved away';
    const open = fstatSync(this.#file);
    return found.ino === open.ino && found.dev === open.dev ? undefined : 'another file is in its place';
  }

  /** Begins a batch: removes the bytes of an earlier batch that was not committed. */
  begin(): void {
    this.#gathered = 0;
    if (this.#ahead === 0) return;
    ftruncateSync(this.#file, this.#size);
    this.#ahead = 0;
  }

  /** Removes the lines since the last commit. */
  rollBack(): void {
    try {
      this.begin();
    } catch {
      // the next batch calls `begin` again, and throws where that fails again
    }
  }

  /** Adds a line, given without its line break. */
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

  /** Writes the lines since `begin` to the file: to the page cache, which survives this process. */
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

  /** A disk that is nearly full takes a part, and fails only the write of the rest. */
  #write(bytes: Buffer, length: number): void {
    for (let done = 0; done < length;) {
      const written = writeSync(this.#file, bytes, done, length - done);
      done += written;
      this.#ahead += written;
    }
  }
}

/** The version of the records that this program writes, and the newest that it reads. */
export const RECORD_VERSION = 1;

/** The `prev` of the first record. */
export const GENESIS = '0'.repeat(64);

/** The last record of a chain. */
export interface Link {
  readonly seq: number;
  /** SHA-256 of the stored bytes, hexadecimal. */
  readonly hash: string;
}

/** The start of the stored bytes of a record: its number, its version, and the hash of the previous record. */
export function prefixOf(seq: number, previous: string): string {
  return `{"seq":${seq},"v":${RECORD_VERSION},"prev":"${previous}",`;
}

/** Hashes the stored bytes of a record: its line without the line break. */
export function hashOf(body: string | Uint8Array): string {
  return hash('sha256', body, 'hex');
}

/** The fields that every record begins with, in a fixed order, so that a scan need not parse the rest. */
export interface Head {
  readonly seq: number;
  /** UTC milliseconds. */
  readonly time: number;
  readonly kind: 'intent' | 'outcome' | 'event';
  /** Empty in events. */
  readonly call: string;
}

/** The head of every record fits into so many bytes. */
const HEAD_BYTES = 320;
const HEAD =
  /^\{"seq":(\d+),"v":1,"prev":"[0-9a-f]{64}","time":(\d+),"kind":"(?:(event)"|(intent|outcome)","call":"([^"]*)")/;

/** Reads the head of a stored record; undefined where the line does not begin as a record of this version. */
export function headOf(line: Buffer): Head | undefined {
  const found = HEAD.exec(line.toString('latin1', 0, HEAD_BYTES));
  if (found === null) return undefined;
  const [, seq, time, event, kind, call] = found;
  return { seq: Number(seq), time: Number(time), kind: (event ?? kind) as Head['kind'], call: call ?? '' };
}

/** Reads the number and the version of a stored record; it may be of a newer version. */
export function numberOf(line: Buffer): { readonly seq: number; readonly version: number } | undefined {
  const found = /^\{"seq":(\d+),"v":(\d+),/.exec(line.toString('latin1', 0, 64));
  return found === null ? undefined : { seq: Number(found[1]), version: Number(found[2]) };
}
