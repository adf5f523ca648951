// Server-sent events: one writer, one reader.
import { createParser } from 'eventsource-parser';

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

/** Most bytes of one UTF-16 unit in UTF-8. */
const BYTES_PER_UNIT = 3;

export interface SseEvent {
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly data: string;
}

export interface SseReaderOptions {
  readonly maxBytes: number;
  onEvent(event: SseEvent): void;
  onOversize(): void;
  /** The id of an event, before the event itself; also of one without data. Empty where the server takes back the last one. */
  onId?(id: string): void;
  onRetry?(ms: number): void;
}

/** Reads events from the bytes of a stream. One whose data is over `maxBytes` ends it through `onOversize`, which is told once. */
export class SseReader {
  private readonly decoder = new TextDecoder();
  private readonly options: SseReaderOptions;
  private readonly parser;
  private over = false;

  constructor(options: SseReaderOptions) {
    this.options = options;
    this.parser = createParser({
      // in UTF-16 units, of which no text has more than bytes; an unfinished line has its field name too
      maxBufferSize: options.maxBytes + 'data: '.length,
      onEvent: (event) => {
        if (this.fits(event.data)) options.onEvent(event);
      },
      onId: (id) => options.onId?.(id),
      onRetry: (ms) => options.onRetry?.(ms),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') this.end();
      },
    });
  }

  /** Takes the next bytes and hands out every event that they complete; nothing any more once an event was too large. */
  push(chunk: Uint8Array): void {
    if (!this.over) this.parser.feed(this.decoder.decode(chunk, { stream: true }));
  }

  private fits(data: string): boolean {
    if (this.over) return false;
    const { maxBytes } = this.options;
    if (data.length * BYTES_PER_UNIT <= maxBytes || Buffer.byteLength(data) <= maxBytes) return true;
    this.end();
    return false;
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.options.onOversize();
  }
}
