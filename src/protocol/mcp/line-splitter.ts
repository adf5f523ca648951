// Cuts a stream of bytes into lines of text, with a limit on how long a line may be.
import { ByteAccumulator } from '../../core/byte-accumulator.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const DEFAULT_MAX_BYTES = 16 * 1024 * 1024;

/** As much of a dropped line as is kept at either end. */
const KEPT_OF_DROPPED = 256;
/** A line that is this many times as long as the limit is reported although it has not ended. */
const ENDLESS = 4;

/** What is left of a line, or of an event of a stream, that was too long. */
export interface DroppedLine {
  /** What has arrived of it. */
  readonly bytes: number;
  readonly head: string;
  /** The last characters of what has arrived. */
  readonly tail: string;
  /** False where the line is over four times the limit and still goes on; it is reported only once. */
  readonly ended: boolean;
  /** Where it was an event of a stream that was not too long, but had too many lines: how many are allowed. */
  readonly maxLines?: number;
}

/** Receives what a LineSplitter finds, in the order of the stream. */
export interface LineHandlers {
  /** One line without its ending; never empty. */
  line(text: string): void;
  /** A line passed the limit and is dropped to its end. `bytes` is what had arrived of it by then. */
  oversize(bytes: number): void;
  /** The dropped line has ended, or is not going to. */
  dropped?(line: DroppedLine): void;
}

interface Dropping {
  bytes: number;
  readonly head: string;
  tail: Buffer;
  reported: boolean;
}

/**
 * Splits at `\n` and `\r\n`, wherever the chunks are cut, and holds at most one line.
 * Text is decoded only in whole lines, so a character cut between chunks arrives whole; bytes that are not UTF-8 become U+FFFD.
 */
export class LineSplitter {
  readonly #handlers: LineHandlers;
  readonly #maxBytes: number;
  readonly #pending = new ByteAccumulator();
  #dropping: Dropping | undefined;

  constructor(handlers: LineHandlers, maxBytes = DEFAULT_MAX_BYTES) {
    this.#handlers = handlers;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes and hands out every line that they complete. */
  push(chunk: Buffer): void {
    const first = chunk.indexOf(NEWLINE);
    if (first === -1) {
      this.#keep(chunk);
      return;
    }
    let start = 0;
    if (this.#pending.length > 0 || this.#dropping !== undefined) {
      this.#keep(chunk.subarray(0, first));
      this.#finish();
      start = first + 1;
    }
    const last = chunk[chunk.length - 1] === NEWLINE ? chunk.length - 1 : chunk.lastIndexOf(NEWLINE);
    if (last >= start) this.#whole(chunk, start, last);
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1));
  }

  /** Ends the stream: a last line without an ending is handed out too. */
  end(): void {
    this.#finish();
  }

  /** Complete lines that begin and end in one chunk; decoding them all at once is several times cheaper than one by one. */
  #whole(chunk: Buffer, from: number, to: number): void {
    if (to - from > this.#maxBytes) {
      this.#oneByOne(chunk.subarray(from, to));
      return;
    }
    const text = chunk.toString('utf8', from, to);
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.#emit(text.slice(start, end));
      start = end + 1;
    }
    this.#emit(start === 0 ? text : text.slice(start));
  }

  #oneByOne(bytes: Buffer): void {
    let start = 0;
    while (start <= bytes.length) {
      const found = bytes.indexOf(NEWLINE, start);
      const end = found === -1 ? bytes.length : found;
      this.#keep(bytes.subarray(start, end));
      this.#finish();
      start = end + 1;
    }
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#dropping !== undefined) {
      this.#dropMore(this.#dropping, bytes);
      return;
    }
    const length = this.#pending.length + bytes.length;
    // One byte more may be the \r of a line that just fits.
    if (length > this.#maxBytes + 1 || (length > this.#maxBytes && bytes[bytes.length - 1] !== RETURN))
      this.#drop(bytes);
    else this.#pending.push(bytes);
  }

  #drop(bytes: Buffer): void {
    const kept = this.#pending.bytes();
    const head = Buffer.concat([kept.subarray(0, KEPT_OF_DROPPED), bytes.subarray(0, KEPT_OF_DROPPED)]);
    this.#dropping = {
      bytes: kept.length + bytes.length,
      head: head.toString('utf8', 0, KEPT_OF_DROPPED),
      tail: lastOf(kept, bytes),
      reported: false,
    };
    this.#pending.clear();
    this.#handlers.oversize(this.#dropping.bytes);
  }

  #dropMore(line: Dropping, bytes: Buffer): void {
    line.bytes += bytes.length;
    line.tail = lastOf(line.tail, bytes);
    if (!line.reported && line.bytes > ENDLESS * this.#maxBytes) this.#report(line, false);
  }

  #report(line: Dropping, ended: boolean): void {
    line.reported = true;
    const { bytes, head, tail } = line;
    this.#handlers.dropped?.({ bytes, head, tail: tail.toString('utf8'), ended });
  }

  #finish(): void {
    if (this.#dropping !== undefined) {
      const line = this.#dropping;
      this.#dropping = undefined;
      if (!line.reported) this.#report(line, true);
      return;
    }
    if (this.#pending.length === 0) return;
    const text = this.#pending.bytes().toString('utf8');
    this.#pending.clear();
    this.#emit(text);
  }

  #emit(text: string): void {
    const line = text.charCodeAt(text.length - 1) === RETURN ? text.slice(0, -1) : text;
    if (line !== '') this.#handlers.line(line);
  }
}

/** The last bytes of two stretches, copied so that the stretches can be let go. */
function lastOf(before: Buffer, after: Buffer): Buffer {
  const both = Buffer.concat([before.subarray(-KEPT_OF_DROPPED), after.subarray(-KEPT_OF_DROPPED)]);
  return both.subarray(-KEPT_OF_DROPPED);
}
