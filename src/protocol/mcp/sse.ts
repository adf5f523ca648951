// Server-sent events: one writer, one reader.
import { createParser } from 'eventsource-parser';
import { GrowingBytes } from '../../core/growing-bytes.ts';

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

export interface SseEvent {
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly data: string;
}

export interface SseReaderOptions {
  /** Most bytes of one event's data; 4 KiB more with everything else that stands in it. */
  readonly maxBytes: number;
  onEvent(event: SseEvent): void;
  onOversize(): void;
  /** The id of an event, before the event itself; also of one without data. Empty where the server takes back the last one. */
  onId?(id: string): void;
  onRetry?(ms: number): void;
}

/**
 * Reads events from the bytes of a stream, wherever those are cut. One that is over the limit ends it through `onOversize`, which is told once.
 * Text is made of whole events only: what is made of pieces holds on to each chunk that it was cut from, which no limit counts.
 */
export class SseReader {
  private readonly options: SseReaderOptions;
  private readonly parser;
  /** Since the last empty line. */
  private readonly unfinished = new GrowingBytes();
  private last = 0;
  private over = false;

  constructor(options: SseReaderOptions) {
    this.options = options;
    this.parser = createParser({
      onEvent: (event) => {
        if (this.over) return;
        if (Buffer.byteLength(event.data) > options.maxBytes) this.end();
        else options.onEvent(event);
      },
      onId: (id) => options.onId?.(id),
      onRetry: (ms) => options.onRetry?.(ms),
    });
  }

  /** Takes the next bytes and hands out every event that they complete; nothing any more once an event was too large. */
  push(chunk: Buffer): void {
    if (this.over || chunk.length === 0) return;
    const whole = endOfEvents(chunk, this.last);
    this.last = chunk[chunk.length - 1] ?? 0;
    if (whole > 0) this.read(chunk.subarray(0, whole));
    this.unfinished.push(chunk.subarray(whole));
    if (this.unfinished.length > this.options.maxBytes + FRAME_BYTES) this.end();
  }

  private read(bytes: Buffer): void {
    this.unfinished.push(bytes);
    const text = this.unfinished.bytes().toString('utf8');
    this.unfinished.clear();
    this.parser.feed(text);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.unfinished.clear();
    this.options.onOversize();
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
