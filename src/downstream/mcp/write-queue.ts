// Writes messages to one client in pieces, each when the client has read those before, so that the gateway sees whether the client reads.
import type { Writable } from 'node:stream';
import type { EndpointLimits } from './limits.ts';
import type { ServerResponse } from 'node:http';

export interface WriteQueueOptions extends Pick<EndpointLimits, 'bounds' | 'writeBudget'> {
  /** The bytes that may wait for a slow reader, if not `slowReaderBuffer`. */
  readonly buffer?: number;
}

export class WriteQueue implements Reader {
  private readonly output: Writable;
  private readonly options: WriteQueueOptions;
  private pieces: (string | Buffer)[] = [];
  /** How many of the pieces are written. */
  private written = 0;
  private queuedBytes = 0;
  /** When the client last read something, or began to be behind; monotonic ms. */
  private readAt = 0;
  /** Whether `end` was called. */
  private ending = false;
  private scheduled = false;

  /** After the first message only the queue may write to the output. */
  constructor(output: Writable, options: WriteQueueOptions) {
    this.output = output;
    this.options = options;
    output.on('drain', () => this.onDrain());
    output.once('close', () => this.drop());
  }

  get waiting(): number {
    return this.queuedBytes + this.output.writableLength;
  }

  /** Writes text, now or when there is room for it; returns whether it can reach the client. */
  write(text: string): boolean {
    const { output } = this;
    const { bounds, writeBudget } = this.options;
    if (output.destroyed || output.writableEnded || this.ending) return false;
    if (output.writableNeedDrain || this.queuedBytes > 0) {
      if (this.isTooSlow) this.cut();
      else this.add(text);
    } else if (text.length > bounds.writePiece) {
      this.readAt = performance.now();
      this.add(text);
      this.writePieces();
    } else if (!output.write(text)) this.readAt = performance.now();
    if (output.writableNeedDrain) writeBudget.record(this);
    return !output.destroyed;
  }

  /** Writes everything at once, without waiting for the client to read. */
  flush(): void {
    const { output } = this;
    for (let piece = this.next(); piece; piece = this.next()) output.write(piece);
    if (this.ending && !output.writableEnded && !output.destroyed) output.end();
  }

  /** Ends the output after everything that waits, and after a last message if there is one. */
  end(last?: string | readonly Buffer[]): void {
    if (this.ending) return;
    this.ending = true;
    const { bounds, writeBudget } = this.options;
    const isShort = last === undefined || (typeof last === 'string' && last.length <= bounds.writePiece);
    if (this.queuedBytes === 0 && isShort) this.output.end(last);
    else {
      this.readAt = performance.now();
      if (typeof last === 'string') this.add(last);
      else for (const bytes of last ?? []) this.addBytes(bytes);
      if (!this.output.writableNeedDrain) this.writePieces();
    }
    if (this.waiting > 0) writeBudget.record(this);
  }

  cut(): void {
    this.output.destroy();
    this.drop();
  }

  private get isTooSlow(): boolean {
    const { bounds, buffer = bounds.slowReaderBuffer } = this.options;
    return this.waiting > buffer && performance.now() - this.readAt >= bounds.slowReaderTime;
  }

  private add(text: string): void {
    const { writePiece } = this.options.bounds;
    this.queuedBytes += Buffer.byteLength(text);
    for (let at = 0; at < text.length;) {
      const end = endOfPiece(text, at + writePiece);
      this.pieces.push(text.slice(at, end));
      at = end;
    }
  }

  private addBytes(bytes: Buffer): void {
    const { writePiece } = this.options.bounds;
    this.queuedBytes += bytes.length;
    for (let at = 0; at < bytes.length; at += writePiece) this.pieces.push(bytes.subarray(at, at + writePiece));
  }

  private writePieces(): void {
    const { output } = this;
    while (!output.writableNeedDrain && !output.destroyed) {
      const piece = this.next();
      if (!piece) break;
      output.write(piece);
    }
    if (this.ending && this.queuedBytes === 0 && !output.destroyed) output.end();
  }

  private next(): Buffer | undefined {
    const piece = this.pieces[this.written];
    if (piece === undefined) return undefined;
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    this.queuedBytes -= bytes.length;
    this.written++;
    if (this.written > this.options.bounds.writtenPieces || this.written === this.pieces.length) {
      this.pieces = this.pieces.slice(this.written);
      this.written = 0;
    }
    return bytes;
  }

  /** Writes on in a later turn of the event loop, so that a fast reader does not block the others. */
  private onDrain(): void {
    const { writeBudget } = this.options;
    this.readAt = performance.now();
    if (this.queuedBytes > 0 && !this.scheduled) {
      this.scheduled = true;
      setImmediate(() => {
        this.scheduled = false;
        this.writePieces();
        writeBudget.record(this);
      });
    }
    writeBudget.record(this);
  }

  private drop(): void {
    this.pieces = [];
    this.written = this.queuedBytes = 0;
    this.options.writeBudget.forget(this);
  }
}

/** The end of a piece that is to end at `end`; the two halves of a surrogate pair stay together. */
function endOfPiece(text: string, end: number): number {
  if (end >= text.length) return text.length;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}

/** Closes the connection when data waits for the client and it has read none for `ms`. */
export function endStalled(response: ServerResponse, ms: number): void {
  // the socket's own timer restarts whenever a part of a long write gets through
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
}

/** A client's connection, as far as it is behind. */
export interface Reader {
  /** The bytes that wait for the client. */
  readonly waiting: number;
  /** Writes everything that waits, at once. */
  flush?(): void;
  /** Closes the connection, and drops what waits. */
  cut(): void;
}

export class WriteBudget {
  private readonly most: number;
  /** What waited for each reader at its last update; those that have been behind for longest come first. */
  private readonly behind = new Map<Reader, number>();
  private total = 0;

  /** `most` is in bytes. */
  constructor(most: number) {
    this.most = most;
  }

  /** Counts what waits for a reader; the reader calls it after every change. */
  record(reader: Reader): void {
    this.update(reader);
    if (this.total > this.most) this.relieve();
  }

  forget(reader: Reader): void {
    this.total -= this.behind.get(reader) ?? 0;
    this.behind.delete(reader);
  }

  /** Writes what waits for all readers at once, because the gateway stops. */
  flush(): void {
    for (const reader of [...this.behind.keys()]) reader.flush?.();
  }

  /** Counts an output that gets no further writes, until it is closed. */
  follow(output: Writable): void {
    const reader: Reader = {
      get waiting() {
        return output.writableLength;
      },
      cut: () => output.destroy(),
    };
    output.once('close', () => this.forget(reader));
    this.record(reader);
  }

  private update(reader: Reader): void {
    const { waiting } = reader;
    this.total += waiting - (this.behind.get(reader) ?? 0);
    if (waiting > 0) this.behind.set(reader, waiting);
    else this.behind.delete(reader);
  }

  private relieve(): void {
    // some readers have read since their last update
    for (const reader of [...this.behind.keys()]) this.update(reader);
    for (const reader of this.behind.keys()) {
      if (this.total <= this.most) return;
      this.forget(reader);
      reader.cut();
    }
  }
}
