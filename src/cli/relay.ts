// Passes messages between one stdio client and the owner of the state directory, and goes on with the next owner when one ends.
import type { Duplex, Readable, Writable } from 'node:stream';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import { STOPPING_LINE } from '../downstream/control-protocol.ts';
import { encodeError } from '../downstream/mcp/encode.ts';
import { LineSplitter } from '../protocol/mcp/line-splitter.ts';
import { cancelledBy, type ClientLine, idsOf, readClientLine } from './client-line.ts';
import { SessionMirror } from './session-mirror.ts';

export interface RelayOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Connects to the present owner. */
  readonly join: () => Promise<Duplex>;
  /** Shows a message to the user. */
  readonly warn: (message: string) => void;
}

export class Relay {
  private readonly options: RelayOptions;
  private readonly session: SessionMirror;
  /** The connection to the present owner. */
  private stream: Duplex | undefined;
  /** Whether the session has begun with the present owner. */
  private ready = false;
  /** Whether the present owner accepts no new calls. */
  private stopping = false;
  /** Whether the client has gone. */
  private ended = false;
  /** The client's lines for the next owner. */
  private pending: ClientLine[] = [];
  private pendingLength = 0;
  private readonly closed = Promise.withResolvers<undefined>();

  constructor(options: RelayOptions) {
    this.options = options;
    this.session = new SessionMirror({
      toOwner: (text) => this.stream?.write(`${text}\n`),
      toClient: (text) => this.toClient(text),
      warn: options.warn,
    });
    const { input, output } = options;
    const splitter = new LineSplitter(
      { line: (text) => this.onClientLine(readClientLine(text)), oversize: () => this.refuseLong() },
      BOUNDS.relayLine,
    );
    input.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      this.pace();
    });
    for (const event of ['end', 'close', 'error']) input.on(event, () => this.end());
    output.on('drain', () => this.stream?.resume());
  }

  /** Relays until the client ends its input, beginning with the given owner. Rejects if no next owner can be joined, nor this process become one. */
  async run(first: Duplex): Promise<void> {
    let stream: Duplex | undefined = first;
    while (stream) {
      await this.carry(stream);
      if (this.ended) return;
      this.keepFirst(this.session.ownerEnded());
      stream = await Promise.race([this.join(), this.closed.promise]);
    }
  }

  /** Ends the connection to the owner, because the client has gone; the owner then cancels the client's requests. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.closed.resolve(undefined);
    this.stream?.end();
    this.stream?.resume(); // to pass on the last answers, and to see the end
  }

  /** Closes the connection to the owner at once. */
  close(): void {
    this.end();
    this.stream?.destroy();
  }

  private async join(): Promise<Duplex> {
    try {
      return await this.options.join();
    } catch (error) {
      if (this.ended) throw error;
      const none = new GatewayError('shutting_down', 'The gateway has ended, and no other one could take over.');
      for (const line of this.pending.splice(0)) this.refuse(line, none);
      throw error;
    }
  }

  /** Relays to one owner. Resolves when it has ended; rejects if it does not continue the session. */
  private async carry(stream: Duplex): Promise<void> {
    const splitter = new LineSplitter(
      { line: (text) => this.onOwnerLine(text), oversize: () => stream.destroy() },
      BOUNDS.relayLine,
    );
    const closed = new Promise<void>((resolve) => stream.once('close', resolve));
    stream.on('error', () => undefined); // `close` follows
    stream.on('data', (chunk: Buffer) => splitter.push(chunk));
    stream.on('end', () => stream.end());
    stream.on('drain', () => this.pace());
    this.stream = stream;
    this.stopping = false;
    if (this.ended) stream.end();
    else await Promise.race([closed, this.resume(stream)]);
    await closed;
    this.stream = undefined;
    this.ready = false;
  }

  private async resume(stream: Duplex): Promise<void> {
    if (!(await this.session.resume()) || this.stream !== stream) return;
    this.ready = true;
    const pending = this.pending;
    this.pending = [];
    this.pendingLength = 0;
    for (const line of pending) this.onClientLine(line);
    this.pace();
  }

  private onOwnerLine(text: string): void {
    if (text === STOPPING_LINE) this.stopping = true;
    else this.session.fromOwner(text);
  }

  private onClientLine(line: ClientLine): void {
    if (this.ended) return;
    const cancelled = cancelledBy(line);
    if (cancelled !== undefined && this.removePending(cancelled)) return;
    if (!this.ready || (this.stopping && idsOf(line).length > 0)) {
      this.pending.push(line);
      this.pendingLength += line.text.length;
      return;
    }
    try {
      this.session.fromClient(line);
    } catch (thrown) {
      this.refuse(line, toGatewayError(thrown));
    }
  }

  /** Removes a request that the client cancelled before an owner saw it; returns whether there was one. */
  private removePending(id: unknown): boolean {
    const at = this.pending.findIndex((line) => !line.batch && idsOf(line)[0] === id);
    const [removed] = at === -1 ? [] : this.pending.splice(at, 1);
    this.pendingLength -= removed?.text.length ?? 0;
    return removed !== undefined;
  }

  /** Keeps lines for the next owner, before those that are pending. */
  private keepFirst(lines: readonly ClientLine[]): void {
    this.pending.unshift(...lines);
    for (const { text } of lines) this.pendingLength += text.length;
    this.pace();
  }

  private refuse(line: ClientLine, error: GatewayError): void {
    const texts = idsOf(line).map((id) => encodeError(id, error, 'legacy').text);
    if (texts.length > 0) this.toClient(line.batch ? `[${texts.join(',')}]` : texts.join());
  }

  private refuseLong(): void {
    const error = new GatewayError('body_too_large', `The message is larger than ${BOUNDS.relayLine} bytes.`);
    this.toClient(encodeError(undefined, error, 'modern').text);
  }

  private toClient(text: string): void {
    const { output } = this.options;
    if (output.destroyed || output.writableEnded) return;
    if (!output.write(`${text}\n`) && !this.ended) this.stream?.pause();
  }

  /** Pauses the client's input while there is no room for it. */
  private pace(): void {
    const { input } = this.options;
    if (this.pendingLength > BOUNDS.relayKept || this.stream?.writableNeedDrain) input.pause();
    else input.resume();
  }
}
