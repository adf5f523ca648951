// Server-sent events: one writer, one reader.
import { createParser } from 'eventsource-parser';

/** The text of an event that carries one JSON-RPC message; JSON never holds a raw line break, so `data` is one line. */
export function sseMessage(json: string, id?: string): string {
  return id === undefined ? `event: message\ndata: ${json}\n\n` : `event: message\nid: ${id}\ndata: ${json}\n\n`;
}

/** A comment: keeps a quiet stream open, and means nothing. */
export const SSE_HEARTBEAT = ':\n\n';

export interface SseEvent {
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly data: string;
}

/** Reads events from the bytes of a stream. An event of more than `maxBytes` ends it through `onOversize`. */
export class SseReader {
  private readonly decoder = new TextDecoder();
  private readonly parser;
  private readonly maxBytes: number;
  private readonly onOversize: () => void;
  private pending = 0;

  constructor(options: {
    maxBytes: number;
    onEvent(event: SseEvent): void;
    onOversize(): void;
    onRetry?(ms: number): void;
  }) {
    this.maxBytes = options.maxBytes;
    this.onOversize = options.onOversize;
    this.parser = createParser({
      onEvent: (event) => {
        this.pending = 0;
        options.onEvent(event);
      },
      onRetry: (ms) => options.onRetry?.(ms),
    });
  }

  push(chunk: Uint8Array): void {
    this.pending += chunk.byteLength;
    const before = this.pending;
    this.parser.feed(this.decoder.decode(chunk, { stream: true }));
    // the count restarts with each event, so only what is still open counts
    if (this.pending === before && this.pending > this.maxBytes) this.onOversize();
  }
}
