// One HTTP response that is an event stream: kept alive while it is quiet, cut where its reader is too slow.
import type { ServerResponse } from 'node:http';
import { SSE_HEARTBEAT, sseMessage } from '../../protocol/mcp/sse.ts';
import type { EndpointLimits } from './limits.ts';
import { endStalled } from './stalled.ts';
import { WriteQueue } from './write-queue.ts';

/** A stream of messages to a client. */
export interface Outlet {
  /** Sends a message; tells whether it can reach the client. */
  send(text: string): boolean;
  /** Ends the stream, after a last message where there is one. */
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

  /** Sends the head at once. */
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
    endStalled(response, limits.stalledMs);
    this.heartbeat = setInterval(() => this.beat(), limits.heartbeatMs);
    this.onClose(() => clearInterval(this.heartbeat));
  }

  /** Calls the listener when the connection is over, whoever ended it. */
  onClose(listener: () => void): void {
    this.response.once('close', listener);
  }

  /** Writes events as they are; tells whether they can reach the client. */
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

  /** Lets the connection end by itself some time after this long, its stream going on elsewhere. */
  limitAge(ms: number): void {
    this.closeAt = performance.now() + ms;
  }

  /** Shows life to a reader who has nothing left to read. */
  beat(): void {
    if (this.queue.waiting === 0) this.write(SSE_HEARTBEAT);
  }
}
