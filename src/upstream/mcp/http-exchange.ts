// One HTTP request to a server, from headers to the JSON-RPC answer in its body or stream.
import { type Dispatcher } from 'undici';
import { GatewayError, reasonOf } from '../../core/errors.ts';
import { type Frame, type ResponseFrame } from '../../protocol/mcp/frames.ts';
import { SseReader } from '../../protocol/mcp/sse.ts';
import { readInbound } from './inbound.ts';
import { HttpRejection } from './wire.ts';

export interface HttpExchangeHandlers {
  readonly server: string;
  readonly maxMessageBytes: number;
  /** Response headers of an accepted request, lower-case. */
  headers(headers: Readonly<Record<string, string | string[] | undefined>>): void;
  /** One message of the server. */
  frame(frame: Frame, bytes: number): void;
  /** The exchange is over. Without an error, everything that was sent has been told. */
  end(error?: Error): void;
}

/** How much of a rejection's body is kept to explain it. */
const REJECTION_BYTES = 4096;

/** What the fields of an event may add to its message. */
const SSE_FRAME_BYTES = 4096;

type Headers = Record<string, string | string[] | undefined>;

/** The undici handler of one POST or GET; reads a JSON body or an event stream, bounded, each message once. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  private readonly on: HttpExchangeHandlers;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private sse: SseReader | undefined;
  private chunks: Buffer[] = [];
  private size = 0;
  private ended = false;
  private aborted: Error | undefined;

  constructor(handlers: HttpExchangeHandlers) {
    this.on = handlers;
  }

  /** Closes the exchange; over modern HTTP that is what cancels (streamable-http, Cancellation). */
  abort(reason: Error): void {
    this.aborted ??= reason;
    this.controller?.abort(reason);
    this.finish(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.aborted) controller.abort(this.aborted);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.status = status;
    if (status < 200 || status > 299) return;
    this.on.headers(headers);
    if (!String(headers['content-type'] ?? '').startsWith('text/event-stream')) return;
    this.sse = new SseReader({
      maxBytes: this.on.maxMessageBytes + SSE_FRAME_BYTES,
      onEvent: (event) => {
        if (event.data !== '' && (event.event === undefined || event.event === 'message')) this.readFrame(event.data);
      },
      onOversize: () => this.abort(tooLarge(this.on)),
    });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.ended) return;
    if (this.sse) {
      this.sse.push(chunk);
      return;
    }
    this.size += chunk.length;
    if (this.size > this.on.maxMessageBytes) this.abort(tooLarge(this.on));
    else this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.ended) return;
    if (this.status < 200 || this.status > 299) {
      this.reject();
      return;
    }
    if (!this.sse && this.size > 0) this.readFrame(this.text(), this.size);
    this.finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.finish(this.aborted ?? error);
  }

  private text(): string {
    const [only] = this.chunks;
    return (only && this.chunks.length === 1 ? only : Buffer.concat(this.chunks)).toString('utf8');
  }

  /** A refusal may hold a JSON-RPC error, which may be the answer (modern servers use 400 and 404 so). */
  private reject(): void {
    const text = this.text();
    this.finish(new HttpRejection(this.status, text.slice(0, REJECTION_BYTES), readRefusal(text)));
  }

  private readFrame(text: string, size = Buffer.byteLength(text)): void {
    if (this.ended) return;
    if (size > this.on.maxMessageBytes) {
      this.abort(tooLarge(this.on));
      return;
    }
    try {
      this.on.frame(readInbound(text), size);
    } catch (error) {
      const why = `The server "${this.on.server}" answered with something that is not MCP: ${reasonOf(error)}`;
      this.abort(new GatewayError('upstream_protocol', why));
    }
  }

  private finish(error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.chunks = [];
    this.on.end(error);
  }
}

function readRefusal(text: string): ResponseFrame | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const frame = readInbound(text);
    return frame.kind === 'response' && frame.error ? frame : undefined;
  } catch {
    return undefined; // not JSON-RPC: the status is all there is
  }
}

function tooLarge(on: HttpExchangeHandlers): GatewayError {
  const message = `The server "${on.server}" sent a message of more than ${on.maxMessageBytes} bytes (limits.upstreamMessage).`;
  return new GatewayError('upstream_message_too_large', message);
}
