// What is on its way to one reader, handed on as the reader takes it: so it shows whether it reads, however large a message is.
import type { Writable } from 'node:stream';
import type { WriteBudget, Reader } from './write-budget.ts';

/** As much of a message as is handed on at a time, in characters. */
export const PIECE = 256 * 1024;

/** Pieces that were taken, after which their places are given back. */
const MAX_TAKEN = 1_000;

export interface WriteQueueOptions {
  readonly backlog: WriteBudget;
  /** As much may wait for a reader that has taken nothing for `slowMs`; what makes it more finds the connection cut off. */
  readonly maxBuffered: number;
  readonly slowMs: number;
}

export class WriteQueue implements Reader {
  private readonly output: Writable;
  private readonly options: WriteQueueOptions;
  private pieces: (string | Buffer)[] = [];
  private taken = 0;
  private queued = 0;
  /** When the reader last took something, or began to be behind; monotonic ms. */
  private tookAt = 0;
  /** Whether nothing more comes. */
  private ending = false;
  private scheduled = false;

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
    if (output.destroyed || output.writableEnded || this.ending) return false;
    if (output.writableNeedDrain || this.queued > 0) {
      if (this.isTooSlow) this.cut();
      else this.add(text);
    } else if (text.length > PIECE) {
      this.tookAt = performance.now();
      this.add(text);
      this.handOn();
    } else if (!output.write(text)) this.tookAt = performance.now();
    if (output.writableNeedDrain) this.options.backlog.record(this);
    return !output.destroyed;
  }

  /** Hands on everything at once, since no more comes. */
  flush(): void {
    const { output } = this;
    for (let piece = this.next(); piece; piece = this.next()) output.write(piece);
    if (this.ending && !output.writableEnded && !output.destroyed) output.end();
  }

  /** Ends the output after everything that was written, and a last message where there is one: piece by piece, as it is taken. */
  end(last?: string | readonly Buffer[]): void {
    if (this.ending) return;
    this.ending = true;
    const isShort = last === undefined || (typeof last === 'string' && last.length <= PIECE);
    if (this.queued === 0 && isShort) this.output.end(last);
    else {
      this.tookAt = performance.now();
      if (typeof last === 'string') this.add(last);
      else for (const bytes of last ?? []) this.addBytes(bytes);
      if (!this.output.writableNeedDrain) this.handOn();
    }
    if (this.waiting > 0) this.options.backlog.record(this);
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
    this.queued += Buffer.byteLength(text);
    for (let at = 0; at < text.length;) {
      const end = endOfPiece(text, at + PIECE);
      this.pieces.push(text.slice(at, end));
      at = end;
    }
  }

  private addBytes(bytes: Buffer): void {
    this.queued += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE) this.pieces.push(bytes.subarray(at, at + PIECE));
  }

  private handOn(): void {
    const { output } = this;
    while (!output.writableNeedDrain && !output.destroyed) {
      const piece = this.next();
      if (!piece) break;
      output.write(piece);
    }
    if (this.ending && this.queued === 0 && !output.destroyed) output.end();
  }

  private next(): Buffer | undefined {
    const piece = this.pieces[this.taken];
    if (piece === undefined) return undefined;
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    this.queued -= bytes.length;
    this.taken++;
    if (this.taken > MAX_TAKEN || this.taken === this.pieces.length) {
      this.pieces = this.pieces.slice(this.taken);
      this.taken = 0;
    }
    return bytes;
  }

  /** A reader that takes everything at once still leaves the others their turn. */
  private onDrain(): void {
    this.tookAt = performance.now();
    if (this.queued > 0 && !this.scheduled) {
      this.scheduled = true;
      setImmediate(() => {
        this.scheduled = false;
        this.handOn();
        this.options.backlog.record(this);
      });
    }
    this.options.backlog.record(this);
  }

  private drop(): void {
    this.pieces = [];
    this.taken = this.queued = 0;
    this.options.backlog.forget(this);
  }
}

/** Where a piece of text ends that is to be so long: the two halves of one character stay together. */
function endOfPiece(text: string, end: number): number {
  if (end >= text.length) return text.length;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}
