// One HTTP response that carries JSON-RPC: plain JSON, or a stream from the moment that something comes before the answer.
import type { ServerResponse } from 'node:http';
import type { Answer } from './encode.ts';
import { EventConnection, type Outlet } from './event-connection.ts';
import type { EndpointLimits } from './limits.ts';
import { endStalled } from './stalled.ts';
import { PIECE, WriteQueue } from './write-queue.ts';

export interface HttpResponseOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: EndpointLimits;
  /** Whether the caller takes an event stream; one that does not gets plain JSON, late, and no notifications. */
  readonly streams: boolean;
  /** Makes a stream of the connection that can be taken up on another one; absent where the stream ends with its connection. */
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
    if (options.streams) this.timer = setTimeout(() => this.open()?.beat(), options.limits.streamAfterMs);
  }

  /** Sends a message ahead of the answer; tells whether it can reach the caller. */
  readonly message = (text: string): boolean => {
    if (!this.outlet) this.open();
    return this.outlet?.send(text) ?? false;
  };

  /** Sends the answer and ends the response. */
  end(answer: Answer): void {
    clearTimeout(this.timer);
    const { response, outlet } = this;
    if (outlet) outlet.end(answer.text);
    else if (!response.writableEnded && !response.destroyed) this.write(answer);
  }

  private write(answer: Answer): void {
    const { response } = this;
    const { parts, status } = answer;
    const text = parts ? '' : answer.text;
    const { headers, limits } = this.options;
    const length = parts ? lengthOf(parts) : Buffer.byteLength(text);
    response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': length });
    if (length > PIECE) new WriteQueue(response, limits).end(parts ?? text);
    else if (parts) {
      response.cork();
      for (const part of parts) response.write(part);
      response.end();
      response.uncork();
    } else response.end(text);
    if (length > PIECE) endStalled(response, limits.stalledMs);
    else if (response.writableLength > 0) {
      endStalled(response, limits.stalledMs);
      limits.backlog.follow(response);
    }
  }

  /** Ends the response without an answer: nothing is sent for a cancelled call (wire.md, Cancellation). */
  close(): void {
    clearTimeout(this.timer);
    const { response, outlet, options } = this;
    if (outlet) outlet.end();
    else if (response.writableEnded || response.destroyed) return;
    else if (options.streams) new EventConnection(response, options).end();
    else response.writeHead(202, options.headers).end();
  }

  /** Makes the response a stream; undefined where that is not possible, or was done before. */
  private open(): EventConnection | undefined {
    clearTimeout(this.timer);
    const { response, options } = this;
    if (!options.streams || this.outlet || response.writableEnded || response.destroyed) return undefined;
    const connection = new EventConnection(response, options);
    this.outlet = options.resumable?.(connection) ?? connection;
    return connection;
  }
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((length, part) => length + part.length, 0);
}
