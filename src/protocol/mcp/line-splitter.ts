// Splits a stream of bytes into lines of text, and drops lines over a limit.
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { ByteAccumulator } from '../../core/byte-accumulator.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** What is kept of a line, or of a server-sent event, that was dropped. */
export interface DroppedLine {
  /** Its bytes so far. */
  readonly bytes: number;
  readonly head: string;
  /** The last characters so far. */
  readonly tail: string;
  /** False where the line is over `endlessMessage` times the limit and has not ended; it is reported only once. */
  readonly ended: boolean;
  /** The limit of lines, where an event was dropped for its lines. */
  readonly maxLines?: number;
}

/** A LineSplitter calls these in the order of the stream. */
export interface LineHandlers {
  /** One line without its ending; never empty. */
  line(text: string): void;
  /** A line exceeds the limit, and is dropped up to its end. `bytes` is its length so far. */
  oversize?(bytes: number): void;
  /** The dropped line has ended, or is taken for endless. */
  dropped?(line: DroppedLine): void;
}

interface Dropping {
  bytes: number;
  readonly head: string;
  tail: Buffer;
  reported: boolean;
}

/**
 * Splits at `\n` and `\r\n`, independent of the chunks, and holds at most one line. It decodes whole lines only, so a character that is split
 * between chunks stays intact; bytes that are not UTF-8 become U+FFFD.
 */
export class LineSplitter {
  readonly #handlers: LineHandlers;
  readonly #maxBytes: number;
  readonly #pending = new ByteAccumulator();
  #dropping: Dropping | undefined;

  constructor(handlers: LineHandlers, maxBytes: number) {
    this.#handlers = handlers;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes and emits every line that they complete. */
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

  /** Ends the stream, and emits a last line without a line break. */
  end(): void {
    this.#finish();
  }

  /** Emits the lines that begin and end in one chunk; to decode them together is several times cheaper than one by one. */
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
    // one more byte may be the \r of a line that just fits
    if (length > this.#maxBytes + 1 || (length > this.#maxBytes && bytes[bytes.length - 1] !== RETURN))
      this.#drop(bytes);
    else this.#pending.push(bytes);
  }

  #drop(bytes: Buffer): void {
    const kept = this.#pending.bytes();
    const head = Buffer.concat([kept.subarray(0, BOUNDS.droppedLine), bytes.subarray(0, BOUNDS.droppedLine)]);
    this.#dropping = {
      bytes: kept.length + bytes.length,
      head: head.toString('utf8', 0, BOUNDS.droppedLine),
      tail: lastOf(kept, bytes),
      reported: false,
    };
    this.#pending.clear();
    this.#handlers.oversize?.(this.#dropping.bytes);
  }

  #dropMore(line: Dropping, bytes: Buffer): void {
    line.bytes += bytes.length;
    line.tail = lastOf(line.tail, bytes);
    if (!line.reported && line.bytes > BOUNDS.endlessMessage * this.#maxBytes) this.#report(line, false);
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

/** A copy of the last bytes of two buffers together, which retains neither. */
function lastOf(before: Buffer, after: Buffer): Buffer {
  const both = Buffer.concat([before.subarray(-BOUNDS.droppedLine), after.subarray(-BOUNDS.droppedLine)]);
  return both.subarray(-BOUNDS.droppedLine);
}
