// MCP over a pair of pipes: one client, whose opening request decides its era (wire.md, Which era is a request).
import { type Readable, type Writable } from 'node:stream';
import { GatewayError, toGatewayError } from '../../core/errors.ts';
import { type JsonValue } from '../../core/json.ts';
import { LOCAL } from '../../core/principal.ts';
import { type Gateway } from '../../gateway/gateway.ts';
import { InFlight } from '../../core/in-flight.ts';
import { type Frame, idOf, oneLine, readFrame, type RequestFrame, type RequestId } from '../../protocol/mcp/frames.ts';
import { LineSplitter } from '../../protocol/mcp/line-splitter.ts';
import { parseStrict } from '../../protocol/mcp/strict-json.ts';
import { answerBatch, readBatch } from './batch.ts';
import { type Caller } from './caller.ts';
import { encodeError } from './encode.ts';
import { agree, answerLegacy, takeMessage } from './legacy.ts';
import { answerModern, isModern } from './modern.ts';
import { OpenRequests } from './open-requests.ts';
import { Session } from './session.ts';

/** How long what was asked may take to be answered or cancelled once the client is gone. */
const LAST_ANSWERS_MS = 15_000;
/** What may wait for a client that does not read before it is given up. */
const MAX_BUFFERED = 64 * 1024 * 1024;

const CALLER: Caller = { principal: LOCAL, transport: 'stdio' };

export interface StdioPipes {
  readonly input: Readable;
  readonly output: Writable;
}

/** Serves one client until its input ends; resolves when what it asked has been answered or cancelled. */
export class StdioFront {
  readonly ended: Promise<void>;
  private readonly gateway: Gateway;
  private readonly output: Writable;
  private readonly modern = new OpenRequests();
  private readonly running = new InFlight();
  private session: Session | undefined;

  constructor(gateway: Gateway, { input, output }: StdioPipes) {
    this.gateway = gateway;
    this.output = output;
    const { limits } = gateway.snapshot.config;
    const oversize = () =>
      this.send(
        encodeError(
          undefined,
          new GatewayError('body_too_large', `The message is larger than ${limits.body} bytes (limits.body).`),
          'modern',
        ).text,
      );
    const splitter = new LineSplitter({ line: (text) => this.onLine(text), oversize }, limits.body);
    output.on('error', () => input.destroy()); // the client is gone: what follows can reach nobody
    this.ended = new Promise((resolve) => {
      input.on('data', (chunk: Buffer) => splitter.push(chunk));
      input.on('close', () => resolve(this.end()));
      input.on('end', () => resolve(this.end()));
      input.on('error', () => resolve(this.end()));
    });
  }

  /** The end of stdin ends the session: its calls are cancelled (wire.md, Cancellation and disconnects). */
  private async end(): Promise<void> {
    this.session?.end();
    this.modern.cancelAll();
    await this.running.settled(LAST_ANSWERS_MS);
  }

  private readonly send = (text: string): boolean => {
    if (this.output.destroyed || this.output.writableEnded) return false;
    this.output.write(`${oneLine(text)}\n`);
    if (this.output.writableLength > MAX_BUFFERED) this.output.destroy();
    return !this.output.destroyed;
  };

  private onLine(text: string): void {
    const { limits } = this.gateway.snapshot.config;
    let value: JsonValue = null;
    try {
      value = parseStrict(text, { depth: limits.depth, uniqueKeys: true });
      const bytes = Buffer.byteLength(text);
      if (Array.isArray(value)) this.onBatch(value, bytes);
      else this.onFrame(readFrame(value), bytes);
    } catch (thrown) {
      this.refuse(idOf(value), thrown);
    }
  }

  private refuse(id: RequestId | undefined, thrown: unknown): void {
    this.send(encodeError(id, toGatewayError(thrown), this.session ? 'legacy' : 'modern').text);
  }

  private onFrame(frame: Frame, bytes: number): void {
    if (frame.kind === 'request')
      this.track(this.answer(frame, bytes).catch((thrown: unknown) => this.refuse(frame.id, thrown)));
    else {
      if (frame.kind === 'notification' && frame.method === 'notifications/cancelled')
        this.modern.cancel(frame.params.requestId);
      if (this.session) takeMessage(frame, this.session);
    }
  }

  private onBatch(values: readonly JsonValue[], bytes: number): void {
    const items = readBatch(values, this.session);
    if (!this.session) return;
    const answered = answerBatch(this.gateway, items, { session: this.session, facts: { bytes }, send: this.send });
    this.track(
      answered.then(
        (answer) => {
          if (answer) this.send(answer.text);
        },
        (thrown: unknown) => this.refuse(undefined, thrown),
      ),
    );
  }

  private async answer(frame: RequestFrame, bytes: number): Promise<void> {
    if (isModern(frame.params)) await this.answerModern(frame, bytes);
    else if (frame.method === 'initialize') this.initialize(frame);
    else if (this.session) {
      const answer = await answerLegacy(this.gateway, frame, {
        session: this.session,
        facts: { bytes },
        send: this.send,
      });
      if (answer) this.send(answer.text);
    } else
      throw new GatewayError(
        'session_required',
        'The first request must be `initialize`, or carry the `_meta` of 2026-07-28.',
      );
  }

  private async answerModern(frame: RequestFrame, bytes: number): Promise<void> {
    const { signal } = this.modern.begin(frame.id);
    try {
      const answer = await answerModern(this.gateway, frame, {
        caller: CALLER,
        facts: { bytes },
        signal,
        send: this.send,
      });
      if (answer) this.send(answer.text);
    } finally {
      this.modern.finish(frame.id);
    }
  }

  private initialize(frame: RequestFrame): void {
    if (this.session) throw new GatewayError('invalid_request', 'The session is initialized already.');
    const { options, answer } = agree(this.gateway, frame, CALLER);
    this.session = new Session(options);
    this.session.addStream({ send: this.send, close: () => undefined }); // the pipe ends with its client
    this.send(answer.text);
  }

  private track(running: Promise<void>): void {
    void this.running.track(running); // it handles its own failure
  }
}
