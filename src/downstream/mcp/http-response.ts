// One HTTP response that carries JSON-RPC: plain JSON, or a stream from the moment that something comes before the answer.
import { type ServerResponse } from 'node:http';
import { SSE_HEARTBEAT, sseMessage } from '../../protocol/mcp/sse.ts';
import { type Answer } from './encode.ts';

/** Quiet calls become streams after this long, so that clients that give up on silence see life (wire.md, Resumption). */
const STREAM_AFTER_MS = 1_000;
const HEARTBEAT_MS = 15_000;

/** What may wait for a slow reader before it is cut off. */
const MAX_BUFFERED = 16 * 1024 * 1024;

export class HttpResponse {
  private readonly response: ServerResponse;
  private readonly headers: Readonly<Record<string, string>>;
  private streaming = false;
  private timer: NodeJS.Timeout | undefined;

  /** `streams` is whether the caller takes an event stream; one that does not gets plain JSON, late, and no notifications. */
  constructor(response: ServerResponse, options: { headers: Readonly<Record<string, string>>; streams: boolean }) {
    this.response = response;
    this.headers = options.headers;
    if (!options.streams) return;
    this.timer = setTimeout(() => this.beat(), STREAM_AFTER_MS);
  }

  /** Sends a message ahead of the answer; tells whether it can reach the caller. */
  readonly message = (text: string): boolean => {
    if (this.timer === undefined || this.response.writableEnded || this.response.destroyed) return false;
    this.openStream();
    this.response.write(sseMessage(text));
    if (this.response.writableLength > MAX_BUFFERED) this.response.destroy();
    return !this.response.destroyed;
  };

  /** Opens the stream before there is anything to send. */
  openStream(): void {
    if (this.streaming) return;
    this.streaming = true;
    this.response.writeHead(200, {
      ...this.headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    this.rearm();
  }

  /** Sends the answer and ends the response. */
  end({ text, status }: Answer): void {
    clearTimeout(this.timer);
    if (this.response.writableEnded || this.response.destroyed) return;
    if (this.streaming) this.response.end(sseMessage(text));
    else
      this.response
        .writeHead(status, {
          ...this.headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        })
        .end(text);
  }

  /** Ends the response without an answer: nothing is sent for a cancelled call (wire.md, Cancellation). */
  close(): void {
    if (this.response.writableEnded || this.response.destroyed) {
      clearTimeout(this.timer);
      return;
    }
    if (this.timer !== undefined) this.openStream();
    clearTimeout(this.timer);
    if (!this.streaming) this.response.writeHead(202, this.headers);
    this.response.end();
  }

  private beat(): void {
    this.openStream();
    if (!this.response.writableEnded && !this.response.destroyed) this.response.write(SSE_HEARTBEAT);
    this.rearm();
  }

  private rearm(): void {
    clearTimeout(this.timer);
    if (this.response.writableEnded || this.response.destroyed) return;
    this.timer = setTimeout(() => this.beat(), HEARTBEAT_MS);
  }
}
