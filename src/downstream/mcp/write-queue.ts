// What is on its way to one reader, handed on as the reader takes it: so it shows whether it reads, however large a message is.
import type { Writable } from 'node:stream';
import type { Backlog, Reader } from './backlog.ts';

/** As much of a message as is handed on at a time, in bytes. */
const PIECE_BYTES = 256 * 1024;

/** Pieces that were taken, after which their places are given back. */
const MAX_TAKEN = 1_000;

export interface WriteQueueOptions {
  readonly backlog: Backlog;
  /** As much may wait for a reader that has taken nothing for `slowMs`; what makes it more finds the connection cut off. */
  readonly maxBuffered: number;
  readonly slowMs: number;
}

export class WriteQueue implements Reader {
  private readonly output: Writable;
  private readonly options: WriteQueueOptions;
  private pieces: Buffer[] = [];
  private taken = 0;
  private queued = 0;
  /** When the reader last took something, or began to be behind; monotonic ms. */
  private tookAt = 0;

  /** Nobody else may write to the output after the first message. */
  constructor(output: Writable, options: WriteQueueOptions) {
    this.output = output;
    this.options = options;
    output.on('drain', () => this.onDrain());
    output.once('close', () => this.drop());
  }

  get waiting(): number {
    return this.queued + this.output.writableLength;
  }

  /** Writes text, now or when there is room for it; tells whether it can reach the reader. */
  write(text: string): boolean {
    const { output } = this;
    if (output.destroyed || output.writableEnded) return false;
    if (output.writableNeedDrain) {
      if (this.isTooSlow) this.cut();
      else this.add(text);
    } else if (text.length > PIECE_BYTES) {
      this.tookAt = performance.now();
      this.add(text);
      this.handOn();
    } else if (!output.write(text)) this.tookAt = performance.now();
    if (output.writableNeedDrain) this.options.backlog.note(this);
    return !output.destroyed;
  }

  /** Hands on everything, since no more comes; the output can be ended. */
  flush(): void {
    const { output } = this;
    for (let piece = this.next(); piece; piece = this.next()) output.write(piece);
  }

  /** Ends the output after everything that was written, and a last message where there is one. */
  end(text?: string): void {
    this.flush();
    this.output.end(text);
    if (this.output.writableLength > 0) this.options.backlog.note(this);
  }

  cut(): void {
    this.output.destroy();
    this.drop();
  }

  private get isTooSlow(): boolean {
    const { maxBuffered, slowMs } = this.options;
    return this.waiting > maxBuffered && performance.now() - this.tookAt >= slowMs;
  }

  private add(text: string): void {
    const bytes = Buffer.from(text);
    this.queued += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) this.pieces.push(bytes.subarray(at, at + PIECE_BYTES));
  }

  private handOn(): void {
    const { output } = this;
    while (!output.writableNeedDrain && !output.destroyed) {
      const piece = this.next();
      if (!piece) return;
      output.write(piece);
    }
  }

  private next(): Buffer | undefined {
    const piece = this.pieces[this.taken];
    if (!piece) return undefined;
    this.queued -= piece.length;
    this.taken++;
    if (this.taken > MAX_TAKEN || this.taken === this.pieces.length) {
      this.pieces = this.pieces.slice(this.taken);
      this.taken = 0;
    }
    return piece;
  }

  private onDrain(): void {
    this.tookAt = performance.now();
    this.handOn();
    this.options.backlog.note(this);
  }

  private drop(): void {
    this.pieces = [];
    this.taken = this.queued = 0;
    this.options.backlog.forget(this);
  }
}
