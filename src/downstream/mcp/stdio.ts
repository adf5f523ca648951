// MCP over a pair of pipes: one client, one line a message.
import type { Readable, Writable } from 'node:stream';
import { ALL_SERVERS } from '../../core/call.ts';
import { GatewayError } from '../../core/errors.ts';
import { InOrder } from '../../core/in-order.ts';
import type { JsonValue } from '../../core/json.ts';
import { LOCAL } from '../../core/principal.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { idOf, oneLine } from '../../protocol/mcp/frames.ts';
import { LineSplitter } from '../../protocol/mcp/line-splitter.ts';
import { readStrict } from '../../protocol/mcp/strict-json.ts';
import { DuplexConnection } from './duplex-connection.ts';
import { LIMITS } from './limits.ts';
import { refusedId } from './http-request.ts';
import { WriteQueue } from './write-queue.ts';

/** How long what was asked may take to be answered or cancelled once the client is gone. */
const LAST_ANSWERS_MS = 15_000;
/** What may wait for a client that has read nothing for a while before it is given up, in bytes. */
const MAX_BUFFERED = 64 * 1024 * 1024;

export interface StdioPipes {
  readonly input: Readable;
  readonly output: Writable;
}

/** Serves one client until its input ends; resolves when what it asked has been answered or cancelled. */
export class StdioFront {
  readonly ended: Promise<void>;
  private readonly gateway: Gateway;
  private readonly queue: WriteQueue;
  private readonly conversation: DuplexConnection;

  constructor(gateway: Gateway, { input, output }: StdioPipes) {
    this.gateway = gateway;
    this.queue = new WriteQueue(output, { ...LIMITS, maxBuffered: MAX_BUFFERED });
    this.conversation = new DuplexConnection(gateway, {
      caller: { principal: LOCAL, endpoint: ALL_SERVERS, transport: 'stdio' },
      send: (text) => this.say(oneLine(text)),
    });
    const { limits } = gateway.snapshot.config;
    const oversize = () =>
      this.conversation.refuse(
        undefined,
        new GatewayError('body_too_large', `The message is larger than ${limits.body} bytes (limits.body).`),
      );
    const lines = new InOrder();
    const splitter = new LineSplitter(
      { line: (text) => lines.run(() => this.onLine(text)), oversize: () => lines.run(oversize) },
      limits.body,
    );
    output.on('error', () => input.destroy()); // the client is gone: what follows can reach nobody
    this.ended = new Promise((resolve) => {
      const end = () => resolve(this.conversation.end(LAST_ANSWERS_MS).then(() => this.queue.flush()));
      input.on('data', (chunk: Buffer) => {
        splitter.push(chunk);
        if (!lines.isBusy) return;
        input.pause(); // what is read has to be handled first
        lines.run(() => void input.resume());
      });
      for (const event of ['close', 'end', 'error']) input.on(event, () => lines.run(end));
    });
  }

  /** Sends one line; tells whether it can reach the client. */
  say(line: string): boolean {
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
          (thrown: unknown) => this.conversation.refuse(refusedId(thrown), thrown),
        );
    } catch (thrown) {
      this.conversation.refuse(refusedId(thrown), thrown);
    }
  }

  private accept(value: JsonValue, text: string): void {
    try {
      this.conversation.accept(value, { bytes: Buffer.byteLength(text) });
    } catch (thrown) {
      this.conversation.refuse(idOf(value), thrown);
    }
  }
}
