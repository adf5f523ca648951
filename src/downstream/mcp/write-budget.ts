// Bounds the bytes that wait for all clients together, and cuts off the clients that have been behind for longest if they are too many.
import type { Writable } from 'node:stream';

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
