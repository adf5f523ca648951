// Writes and reads server-sent events.
import { createParser } from 'eventsource-parser';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { ByteAccumulator } from '../../core/byte-accumulator.ts';
import type { DroppedLine } from './line-splitter.ts';

/** The text of an event that carries one JSON-RPC message; JSON never holds a raw line break, so `data` is one line. */
export function sseMessage(json: string, id?: string): string {
  return id === undefined ? `event: message\ndata: ${json}\n\n` : `event: message\nid: ${id}\ndata: ${json}\n\n`;
}

/** An event without data, which gives a client its position in the stream and the time of a reconnection (2025-11-25 transports, Sending Messages). */
export function ssePriming(id: string, retryMs: number): string {
  return `id: ${id}\nretry: ${retryMs}\ndata: \n\n`;
}

/** The first event of HTTP+SSE: the URL for messages (2024-11-05 transports, HTTP with SSE). */
export function sseEndpoint(url: string): string {
  return `event: endpoint\ndata: ${url}\n\n`;
}

/** A comment, which keeps a quiet stream open. */
export const SSE_HEARTBEAT = ':\n\n';

const LF = 0x0a;
const CR = 0x0d;

export interface SseEvent {
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly data: string;
}

export interface SseReaderOptions {
  /** The limit of one event's data in bytes; with its other fields and comments, `sseOverhead` more. */
  readonly maxBytes: number;
  onEvent(event: SseEvent): void;
  /** An event exceeds the limit, and the reader stops. Where `onDropped` is there, only for an endless event. */
  onOversize(maxLines?: number): void;
  /** An event over the limit has ended, and was dropped. */
  onDropped?(event: DroppedLine): void;
  /** The id of an event, before the event itself; also of one without data. Empty where the server resets the last id. */
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
 * Reads events from the bytes of a stream, independent of the chunks. It drops an event over the limit, or stops at it. It decodes whole
 * events only: text that is sliced from chunks would retain each chunk, which no limit counts.
 */
export class SseReader {
  private readonly options: SseReaderOptions;
  private readonly parser;
  /** The bytes since the last empty line. */
  private readonly unfinished = new ByteAccumulator();
  /** The line ends in `unfinished`. */
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

  /** Takes the next bytes and emits every event that they complete. Does nothing after the reader has stopped. */
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
    if (this.unfinished.length > this.options.maxBytes + BOUNDS.sseOverhead || this.lines > BOUNDS.sseLines)
      this.drop();
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
    // a character takes at most three bytes, so only the bytes of long data are counted
    const bytes = data.length * 3 > this.options.maxBytes ? Buffer.byteLength(data) : 0;
    if (bytes <= this.options.maxBytes) this.options.onEvent(event);
    else if (this.options.onDropped) {
      const [head, tail] = [data.slice(0, BOUNDS.droppedEvent), data.slice(-BOUNDS.droppedEvent)];
      this.options.onDropped({ bytes, head, tail, ended: true });
    } else this.end();
  }

  private drop(): void {
    const maxLines = this.lines > BOUNDS.sseLines ? BOUNDS.sseLines : undefined;
    if (!this.options.onDropped) {
      this.end(maxLines);
      return;
    }
    const bytes = this.unfinished.bytes();
    const head = bytes.toString('utf8', 0, BOUNDS.droppedEvent);
    this.dropping = { maxLines, bytes: bytes.length, head, tail: Buffer.from(bytes.subarray(-BOUNDS.droppedEvent)) };
    this.unfinished.clear();
    this.lines = 0;
  }

  /** Skips the bytes of the dropped event; returns the bytes after it. */
  private dropMore(dropping: Dropping, chunk: Buffer): Buffer {
    const end = startOfNext(chunk, this.last);
    const dropped = end === 0 ? chunk : chunk.subarray(0, end);
    dropping.bytes += dropped.length;
    dropping.tail = Buffer.concat([dropping.tail, dropped.subarray(-BOUNDS.droppedEvent)]).subarray(
      -BOUNDS.droppedEvent,
    );
    this.last = dropped[dropped.length - 1] ?? 0;
    if (end > 0) {
      const { bytes, maxLines, head, tail } = dropping;
      this.dropping = undefined;
      this.options.onDropped?.({
        bytes,
        head: head.slice(head.search(/data:/) + 5), // the fields before the data
        tail: tail.toString('utf8'),
        ended: true,
        ...(maxLines !== undefined && { maxLines }),
      });
    } else if (dropping.bytes > BOUNDS.endlessMessage * this.options.maxBytes) this.end();
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
 * The number of bytes that belong to complete events: up to the last empty line, which is any two line ends in a row. `before` is the
 * previous byte. A line ends with LF, CR or CR LF (HTML standard, 9.2.5), so only CR LF is one end of two bytes.
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

/** The index after the next empty line; 0 where there is none. */
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
