// One HTTP response with the answer to a message: plain JSON, or an event stream as soon as a message precedes the answer.
import type { ServerResponse } from 'node:http';
import type { Answer } from './encode.ts';
import type { EndpointLimits } from './limits.ts';
import { endStalled, WriteQueue } from './write-queue.ts';
import { SSE_HEARTBEAT, sseMessage } from '../../protocol/mcp/sse.ts';

export interface HttpResponseOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: EndpointLimits;
  /** After this long without an answer the response becomes an event stream; absent if the caller accepts none, and gets no notifications. */
  readonly streamDelay?: number | undefined;
  /** Makes a stream that can continue on another connection; absent if the stream ends with its connection. */
  readonly resumable?: (connection: EventConnection) => Outlet;
}

export class HttpResponse {
  private readonly response: ServerResponse;
  private readonly options: HttpResponseOptions;
  private readonly timer: NodeJS.Timeout | undefined;
  private outlet: Outlet | undefined;

  constructor(response: ServerResponse, options: HttpResponseOptions) {
    this.response = response;
    this.options = options;
    if (options.streamDelay !== undefined) this.timer = setTimeout(() => this.open()?.beat(), options.streamDelay);
  }

  /** Sends a message before the answer; returns whether it can reach the caller. */
  readonly message = (text: string): boolean => {
    if (!this.outlet) this.open();
    return this.outlet?.send(text) ?? false;
  };

  /** Ends the response: with the answer, or without one because the call was cancelled (wire.md, Cancellation). */
  end(answer?: Answer): void {
    clearTimeout(this.timer);
    const { response, outlet, options } = this;
    if (outlet) outlet.end(answer?.text);
    else if (response.writableEnded || response.destroyed) return;
    else if (answer) this.write(answer);
    else if (options.streamDelay !== undefined) new EventConnection(response, options).end();
    else response.writeHead(202, options.headers).end();
  }

  private write(answer: Answer): void {
    const { response } = this;
    const { parts, status } = answer;
    const text = parts ? '' : answer.text;
    const { headers, limits } = this.options;
    const length = parts ? lengthOf(parts) : Buffer.byteLength(text);
    response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': length });
    const { writePiece, stalledReaderTime } = limits.bounds;
    if (length > writePiece) new WriteQueue(response, limits).end(parts ?? text);
    else if (parts) {
      response.cork();
      for (const part of parts) response.write(part);
      response.end();
      response.uncork();
    } else response.end(text);
    if (length > writePiece) endStalled(response, stalledReaderTime);
    else if (response.writableLength > 0) {
      endStalled(response, stalledReaderTime);
      limits.writeBudget.follow(response);
    }
  }

  /** Makes the response an event stream; undefined if it is one already, or cannot become one. */
  private open(): EventConnection | undefined {
    clearTimeout(this.timer);
    const { response, options } = this;
    if (options.streamDelay === undefined || this.outlet || response.writableEnded || response.destroyed)
      return undefined;
    const connection = new EventConnection(response, options);
    this.outlet = options.resumable?.(connection) ?? connection;
    return connection;
  }
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((length, part) => length + part.length, 0);
}

/** A stream of messages to a client. */
export interface Outlet {
  /** Sends a message; returns whether it can reach the client. */
  send(text: string): boolean;
  /** Ends the stream, after a last message if there is one. */
  end(text?: string): void;
}

export interface EventConnectionOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: EndpointLimits;
}

export class EventConnection implements Outlet {
  private readonly response: ServerResponse;
  private readonly queue: WriteQueue;
  private readonly heartbeat: NodeJS.Timeout;
  private closeAt = Infinity;

  /** Sends the HTTP head at once. */
  constructor(response: ServerResponse, { headers, limits }: EventConnectionOptions) {
    this.response = response;
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    this.queue = new WriteQueue(response, limits);
    endStalled(response, limits.bounds.stalledReaderTime);
    this.heartbeat = setInterval(() => this.beat(), limits.bounds.streamHeartbeat);
    this.onClose(() => clearInterval(this.heartbeat));
  }

  /** Calls the listener when the connection has closed, whichever side closed it. */
  onClose(listener: () => void): void {
    this.response.once('close', listener);
  }

  /** Writes encoded events; returns whether they can reach the client. */
  write(events: string): boolean {
    if (!this.queue.write(events)) return false;
    this.heartbeat.refresh();
    if (this.closeAt !== Infinity && performance.now() >= this.closeAt) this.end();
    return true;
  }

  send(text: string): boolean {
    return this.write(sseMessage(text));
  }

  end(text?: string): void {
    clearInterval(this.heartbeat);
    if (this.response.writableEnded || this.response.destroyed) return;
    this.queue.end(text === undefined ? undefined : sseMessage(text));
  }

  /** Ends the connection at the first write after this long; its stream continues on the client's next connection. */
  limitAge(ms: number): void {
    this.closeAt = performance.now() + ms;
  }

  /** Sends a heartbeat if nothing else waits for the client. */
  beat(): void {
    if (this.queue.waiting === 0) this.write(SSE_HEARTBEAT);
  }
}
