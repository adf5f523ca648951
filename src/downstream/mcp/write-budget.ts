// What waits for readers in the whole process: bounded in all, and where it is too much those that are behind for longest are cut off.
import type { Writable } from 'node:stream';

/** Somebody for whom something waits. */
export interface Reader {
  /** What waits, in bytes. */
  readonly waiting: number;
  /** Hands on everything that waits, at once. */
  flush?(): void;
  /** Gives up the connection, and what waits with it. */
  cut(): void;
}

export class WriteBudget {
  private readonly most: number;
  /** What waited for each when it was last looked, those first who have been behind for longest. */
  private readonly behind = new Map<Reader, number>();
  private total = 0;

  /** `most` bytes may wait in all. */
  constructor(most: number) {
    this.most = most;
  }

  /** Looks at what waits for a reader, after every change of it. */
  record(reader: Reader): void {
    this.update(reader);
    if (this.total > this.most) this.relieve();
  }

  forget(reader: Reader): void {
    this.total -= this.behind.get(reader) ?? 0;
    this.behind.delete(reader);
  }

  /** Hands on what waits for all, without regard to how they read: the end has come. */
  flush(): void {
    for (const reader of [...this.behind.keys()]) reader.flush?.();
  }

  /** Notes an output that nothing more is written to, until it is closed. */
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
    // some have read since they were looked at
    for (const reader of [...this.behind.keys()]) this.update(reader);
    for (const reader of this.behind.keys()) {
      if (this.total <= this.most) return;
      this.forget(reader);
      reader.cut();
    }
  }
}
