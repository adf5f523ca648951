// What all sessions together keep for clients that come back: bounded in bytes, the oldest goes first, whosever it is.

/** Something that is kept. */
export interface Kept {
  readonly bytes: number;
  /** Lets go of it; it is kept no more by then. */
  release(): void;
}

export class ReplayBudget {
  private readonly most: number;
  private readonly events = new Set<Kept>();
  /** Goes on where it was: what stood before has gone, and to begin anew would be to pass over all of it again. */
  private oldest = this.events.values();
  private total = 0;

  /** `most` bytes are kept in all. */
  constructor(most: number) {
    this.most = most;
  }

  get bytes(): number {
    return this.total;
  }

  add(event: Kept): void {
    this.events.add(event);
    this.total += event.bytes;
    while (this.total > this.most) {
      const oldest = this.next();
      if (!oldest) return;
      this.remove(oldest);
      oldest.release();
    }
  }

  remove(event: Kept): void {
    if (this.events.delete(event)) this.total -= event.bytes;
  }

  private next(): Kept | undefined {
    const { done, value } = this.oldest.next();
    if (done !== true) return value;
    this.oldest = this.events.values();
    return this.oldest.next().value;
  }
}
