// One HTTP response as an event stream, with heartbeats while it is silent, and cut off if its client reads too slowly.
import type { ServerResponse } from 'node:http';
import { SSE_HEARTBEAT, sseMessage } from '../../protocol/mcp/sse.ts';
import type { EndpointLimits } from './limits.ts';
import { endStalled, WriteQueue } from './write-queue.ts';

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
