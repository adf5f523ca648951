// Server-sent events: one writer, one reader.
import { createParser } from 'eventsource-parser';
import { ByteAccumulator } from '../../core/byte-accumulator.ts';
import type { DroppedLine } from './line-splitter.ts';

/** The text of an event that carries one JSON-RPC message; JSON never holds a raw line break, so `data` is one line. */
export function sseMessage(json: string, id?: string): string {
  return id === undefined ? `event: message\ndata: ${json}\n\n` : `event: message\nid: ${id}\ndata: ${json}\n\n`;
}

/** An event without data, which tells a client where it is and when to come back (2025-11-25 transports, Sending Messages). */
export function ssePriming(id: string, retryMs: number): string {
  return `id: ${id}\nretry: ${retryMs}\ndata: \n\n`;
}

/** The first event of HTTP+SSE: where messages go (2024-11-05 transports, HTTP with SSE). */
export function sseEndpoint(url: string): string {
  return `event: endpoint\ndata: ${url}\n\n`;
}

/** A comment: keeps a quiet stream open, and means nothing. */
export const SSE_HEARTBEAT = ':\n\n';

const LF = 0x0a;
const CR = 0x0d;

/** What the fields and comments of an event may add to its data, in bytes. */
const FRAME_BYTES = 4096;
/** Most lines of one event: a message is one line, and each line costs as much as hundreds of characters. */
const MAX_LINES = 10_000;
/** As much of a dropped event as is kept at either end. */
const KEPT_OF_DROPPED = 512;
/** An event that is this many times as long as the limit, and goes on, ends the stream. */
const ENDLESS = 4;

export interface SseEvent {
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly data: string;
}

export interface SseReaderOptions {
  /** Most bytes of one event's data; 4 KiB more with everything else that stands in it. */
  readonly maxBytes: number;
  onEvent(event: SseEvent): void;
  /** An event is over the limit. The stream is read no further, unless `onDropped` takes what is left of it. */
  onOversize(maxLines?: number): void;
  /** What is left of an event over the limit, once it has ended. */
  onDropped?(event: DroppedLine): void;
  /** The id of an event, before the event itself; also of one without data. Empty where the server takes back the last one. */
  onId?(id: string): void;
  onRetry?(ms: number): void;
}

interface Dropping {
  readonly maxLines: number | undefined;
  bytes: number;
  readonly head: string;
  tail: Buffer;
}

/**
 * Reads events from the bytes of a stream, wherever those are cut. One that is over the limit is dropped, or ends the stream.
 * Text is made of whole events only: what is made of pieces holds on to each chunk that it was cut from, which no limit counts.
 */
export class SseReader {
  private readonly options: SseReaderOptions;
  private readonly parser;
  /** Since the last empty line. */
  private readonly unfinished = new ByteAccumulator();
  /** Line ends in what is unfinished. */
  private lines = 0;
  private last = 0;
  private dropping: Dropping | undefined;
  private over = false;

  constructor(options: SseReaderOptions) {
    this.options = options;
    this.parser = createParser({
      onEvent: (event) => this.take(event),
      onId: (id) => options.onId?.(id),
      onRetry: (ms) => options.onRetry?.(ms),
    });
  }

  /** Takes the next bytes and hands out every event that they complete; nothing any more once the stream is read no further. */
  push(chunk: Buffer): void {
    if (this.over || chunk.length === 0) return;
    let rest = chunk;
    if (this.dropping) {
      rest = this.dropMore(this.dropping, chunk);
      if (rest.length === 0) return;
    }
    const whole = endOfEvents(rest, this.last);
    this.last = rest[rest.length - 1] ?? 0;
    if (whole > 0) this.read(rest.subarray(0, whole));
    this.keep(rest.subarray(whole));
  }

  private keep(bytes: Buffer): void {
    this.unfinished.push(bytes);
    this.lines += linesIn(bytes);
    if (this.unfinished.length > this.options.maxBytes + FRAME_BYTES || this.lines > MAX_LINES) this.drop();
  }

  private read(bytes: Buffer): void {
    this.unfinished.push(bytes);
    const text = this.unfinished.bytes().toString('utf8');
    this.unfinished.clear();
    this.lines = 0;
    this.parser.feed(text);
  }

  private take(event: SseEvent): void {
    const { data } = event;
    if (this.over) return;
    // a character is three bytes at most, so that only long ones are counted
    const bytes = data.length * 3 > this.options.maxBytes ? Buffer.byteLength(data) : 0;
    if (bytes <= this.options.maxBytes) this.options.onEvent(event);
    else if (this.options.onDropped) {
      const [head, tail] = [data.slice(0, KEPT_OF_DROPPED), data.slice(-KEPT_OF_DROPPED)];
      this.options.onDropped({ bytes, head, tail, ended: true });
    } else this.end();
  }

  private drop(): void {
    const maxLines = this.lines > MAX_LINES ? MAX_LINES : undefined;
    if (!this.options.onDropped) {
      this.end(maxLines);
      return;
    }
    const bytes = this.unfinished.bytes();
    const head = bytes.toString('utf8', 0, KEPT_OF_DROPPED);
    this.dropping = { maxLines, bytes: bytes.length, head, tail: Buffer.from(bytes.subarray(-KEPT_OF_DROPPED)) };
    this.unfinished.clear();
    this.lines = 0;
  }

  /** Passes over what belongs to the dropped event; returns what comes after it. */
  private dropMore(dropping: Dropping, chunk: Buffer): Buffer {
    const end = startOfNext(chunk, this.last);
    const dropped = end === 0 ? chunk : chunk.subarray(0, end);
    dropping.bytes += dropped.length;
    dropping.tail = Buffer.concat([dropping.tail, dropped.subarray(-KEPT_OF_DROPPED)]).subarray(-KEPT_OF_DROPPED);
    this.last = dropped[dropped.length - 1] ?? 0;
    if (end > 0) {
      const { bytes, maxLines, head, tail } = dropping;
      this.dropping = undefined;
      this.options.onDropped?.({
        bytes,
        head: head.slice(head.search(/data:/) + 5), // what comes before the data are other fields of the event
        tail: tail.toString('utf8'),
        ended: true,
        ...(maxLines !== undefined && { maxLines }),
      });
    } else if (dropping.bytes > ENDLESS * this.options.maxBytes) this.end();
    return chunk.subarray(dropped.length);
  }

  private end(maxLines?: number): void {
    if (this.over) return;
    this.over = true;
    this.unfinished.clear();
    this.options.onOversize(maxLines);
  }
}

/**
 * How many of the bytes belong to events that are complete: up to the last empty line, which is any two line ends in a row. `before` is the
 * byte that came before them. A line ends with LF, CR or both (HTML standard, 9.2.5), so that only CR and LF together are one end.
 */
function endOfEvents(bytes: Buffer, before: number): number {
  let lf = bytes.lastIndexOf(LF);
  let cr = bytes.lastIndexOf(CR);
  for (let at = Math.max(lf, cr); at >= 0; at = Math.max(lf, cr)) {
    const previous = at === 0 ? before : bytes[at - 1];
    if (previous === LF || (previous === CR && bytes[at] === CR)) return at + 1;
    if (at === 0) return 0;
    if (at === lf) lf = bytes.lastIndexOf(LF, at - 1);
    else cr = bytes.lastIndexOf(CR, at - 1);
  }
  return 0;
}

/** Where the bytes begin that come after the next empty line; 0 where there is none. */
function startOfNext(bytes: Buffer, before: number): number {
  let previous = before;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte === LF && previous === LF) || (byte === CR && (previous === LF || previous === CR))) return at + 1;
    previous = byte;
  }
  return 0;
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (const end of [LF, CR]) for (let at = bytes.indexOf(end); at !== -1; at = bytes.indexOf(end, at + 1)) lines++;
  return lines;
}
