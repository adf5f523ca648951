// MCP over a pair of pipes: one client, one message per line.
import type { Readable, Writable } from 'node:stream';
import { ALL_SERVERS } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { InOrder } from '../../core/in-flight.ts';
import type { JsonValue } from '../../core/json.ts';
import { LOCAL } from '../../core/principal.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { idOf, oneLine } from '../../protocol/mcp/frames.ts';
import { LineSplitter } from '../../protocol/mcp/line-splitter.ts';
import { readStrict } from '../../protocol/mcp/strict-json.ts';
import { DuplexConnection } from './duplex-connection.ts';
import type { EndpointLimits } from './limits.ts';
import { refusedId } from './http-request.ts';
import { WriteQueue } from './write-queue.ts';

export interface StdioPipes {
  readonly input: Readable;
  readonly output: Writable;
}

export interface StdioOptions extends StdioPipes {
  readonly limits: EndpointLimits;
}

/** Serves one client until its input ends; `ended` resolves when its requests are answered or cancelled. */
export class StdioFront {
  readonly ended: Promise<void>;
  private readonly gateway: Gateway;
  private readonly queue: WriteQueue;
  private readonly connection: DuplexConnection;

  constructor(gateway: Gateway, { input, output, limits }: StdioOptions) {
    const { slowStdioBuffer, stdioAnswerTime } = limits.bounds;
    const { body } = gateway.snapshot.config.limits;
    this.gateway = gateway;
    this.queue = new WriteQueue(output, { ...limits, buffer: slowStdioBuffer });
    this.connection = new DuplexConnection(gateway, {
      caller: { principal: LOCAL, endpoint: ALL_SERVERS, transport: 'stdio' },
      send: (text) => this.sendLine(oneLine(text)),
      limits,
    });
    const oversize = () =>
      this.connection.refuse(
        undefined,
        new GatewayError('body_too_large', `The message is larger than ${body} bytes (limits.body).`),
      );
    const lines = new InOrder();
    const splitter = new LineSplitter(
      { line: (text) => lines.run(() => this.onLine(text)), oversize: () => lines.run(oversize) },
      body,
    );
    output.on('error', () => input.destroy()); // the client has closed its end
    this.ended = new Promise((resolve) => {
      const end = () => resolve(this.connection.end(stdioAnswerTime).then(() => this.queue.flush()));
      input.on('data', (chunk: Buffer) => {
        splitter.push(chunk);
        if (!lines.isBusy) return;
        input.pause(); // reads on when the lines so far are handled
        lines.run(() => void input.resume());
      });
      for (const event of ['close', 'end', 'error']) input.on(event, () => lines.run(end));
    });
  }

  /** Sends one line; returns whether it can reach the client. */
  sendLine(line: string): boolean {
    return this.queue.write(`${line}\n`);
  }

  private onLine(text: string): Promise<void> | void {
    const { depth, items } = this.gateway.snapshot.config.limits;
    try {
      const value = readStrict(text, { depth, items, uniqueKeys: true });
      if (!(value instanceof Promise)) this.accept(value, text);
      else
        return value.then(
          (read) => this.accept(read, text),
          (thrown: unknown) => this.connection.refuse(refusedId(thrown), thrown),
        );
    } catch (thrown) {
      this.connection.refuse(refusedId(thrown), thrown);
    }
  }

  private accept(value: JsonValue, text: string): void {
    try {
      this.connection.accept(value, { bytes: Buffer.byteLength(text) });
    } catch (thrown) {
      this.connection.refuse(idOf(value), thrown);
    }
  }
}
