// Carries one client's session over the owners of a state directory that follow each other, for as long as its pipe is open.
import type { Duplex, Readable, Writable } from 'node:stream';
import { GatewayError, toGatewayError } from '../core/errors.ts';
import { ENDING } from '../downstream/control-protocol.ts';
import { encodeError } from '../downstream/mcp/encode.ts';
import { LineSplitter } from '../protocol/mcp/line-splitter.ts';
import { cancelledBy, type ClientLine, idsOf, readClientLine } from './client-line.ts';
import { SessionMirror } from './session-mirror.ts';

/** Longest line that a relay holds; what the owner takes is `limits.body`, and less. */
const MAX_LINE = 256 * 1024 * 1024;
/** So much is taken from the client while there is no owner; the rest waits in its pipe. */
const MAX_HELD = 1024 * 1024;

export interface RelayOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Opens the way to the owner that there is by now. */
  readonly join: () => Promise<Duplex>;
  /** Says something to the user. */
  readonly warn: (words: string) => void;
}

export class Relay {
  private readonly options: RelayOptions;
  private readonly session: SessionMirror;
  private stream: Duplex | undefined;
  /** The session has begun with the owner that there is. */
  private ready = false;
  /** The owner takes no new calls. */
  private ending = false;
  private over = false;
  private held: ClientLine[] = [];
  private heldLength = 0;
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
      MAX_LINE,
    );
    input.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      this.pace();
    });
    for (const event of ['end', 'close', 'error']) input.on(event, () => this.end());
    output.on('drain', () => this.stream?.resume());
  }

  /** Relays until the client has gone, beginning with an owner that is there. Rejects where no other one can be found or become. */
  async run(first: Duplex): Promise<void> {
    let stream: Duplex | undefined = first;
    while (stream) {
      await this.carry(stream);
      if (this.over) return;
      this.hold(this.session.lost());
      stream = await Promise.race([this.join(), this.closed.promise]);
    }
  }

  /** The client has gone: what it asked is cancelled by the owner, which sees the same. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.closed.resolve(undefined);
    this.stream?.end();
    this.stream?.resume(); // what was answered before leaves, and then its end is seen
  }

  /** Lets go of the owner at once. */
  close(): void {
    this.end();
    this.stream?.destroy();
  }

  private async join(): Promise<Duplex> {
    try {
      return await this.options.join();
    } catch (error) {
      if (this.over) throw error;
      const none = new GatewayError('shutting_down', 'The gateway has ended, and no other one could take over.');
      for (const line of this.held.splice(0)) this.refuse(line, none);
      throw error;
    }
  }

  /** Resolves when the owner has ended; rejects where it does not go on with the session. */
  private async carry(stream: Duplex): Promise<void> {
    const splitter = new LineSplitter(
      { line: (text) => this.onOwnerLine(text), oversize: () => stream.destroy() },
      MAX_LINE,
    );
    const gone = new Promise<void>((resolve) => stream.once('close', resolve));
    stream.on('error', () => undefined); // it is closed by it
    stream.on('data', (chunk: Buffer) => splitter.push(chunk));
    stream.on('end', () => stream.end());
    stream.on('drain', () => this.pace());
    this.stream = stream;
    this.ending = false;
    if (this.over) stream.end();
    else await Promise.race([gone, this.resume(stream)]);
    await gone;
    this.stream = undefined;
    this.ready = false;
  }

  private async resume(stream: Duplex): Promise<void> {
    if (!(await this.session.resume()) || this.stream !== stream) return;
    this.ready = true;
    const waiting = this.held;
    this.held = [];
    this.heldLength = 0;
    for (const line of waiting) this.onClientLine(line);
    this.pace();
  }

  private onOwnerLine(text: string): void {
    if (text === ENDING) this.ending = true;
    else this.session.fromOwner(text);
  }

  private onClientLine(line: ClientLine): void {
    if (this.over) return;
    const cancelled = cancelledBy(line);
    if (cancelled !== undefined && this.unhold(cancelled)) return;
    if (!this.ready || (this.ending && idsOf(line).length > 0)) {
      this.held.push(line);
      this.heldLength += line.text.length;
      return;
    }
    try {
      this.session.fromClient(line);
    } catch (thrown) {
      this.refuse(line, toGatewayError(thrown));
    }
  }

  /** Takes out a request that the client cancelled before any owner saw it. */
  private unhold(id: unknown): boolean {
    const at = this.held.findIndex((line) => !line.batch && idsOf(line)[0] === id);
    const [taken] = at === -1 ? [] : this.held.splice(at, 1);
    this.heldLength -= taken?.text.length ?? 0;
    return taken !== undefined;
  }

  /** Puts lines before those that wait. */
  private hold(lines: readonly ClientLine[]): void {
    this.held.unshift(...lines);
    for (const { text } of lines) this.heldLength += text.length;
    this.pace();
  }

  private refuse(line: ClientLine, error: GatewayError): void {
    const texts = idsOf(line).map((id) => encodeError(id, error, 'legacy').text);
    if (texts.length > 0) this.toClient(line.batch ? `[${texts.join(',')}]` : texts.join());
  }

  private refuseLong(): void {
    const error = new GatewayError('body_too_large', `The message is larger than ${MAX_LINE} bytes.`);
    this.toClient(encodeError(undefined, error, 'modern').text);
  }

  private toClient(text: string): void {
    const { output } = this.options;
    if (output.destroyed || output.writableEnded) return;
    if (!output.write(`${text}\n`) && !this.over) this.stream?.pause();
  }

  /** Reads on from the client only where there is room for it. */
  private pace(): void {
    const { input } = this.options;
    if (this.heldLength > MAX_HELD || this.stream?.writableNeedDrain) input.pause();
    else input.resume();
  }
}
