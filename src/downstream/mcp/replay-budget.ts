// Bounds in bytes what all sessions together keep for clients that come back: the oldest goes first, whosever it is.
import { BoundedMap } from '../../core/bounded-map.ts';

/** Something that is kept. */
export interface Kept {
  readonly bytes: number;
  /** Lets go of it; the budget has forgotten it by then. */
  release(): void;
}

export class ReplayBudget {
  private readonly events: BoundedMap<Kept, Kept>;

  /** `most` bytes are kept in all. */
  constructor(most: number) {
    this.events = new BoundedMap({ most, weigh: ({ bytes }) => bytes, evicted: (event) => event.release() });
  }

  get bytes(): number {
    return this.events.weight;
  }

  add(event: Kept): void {
    this.events.set(event, event);
  }

  remove(event: Kept): void {
    this.events.delete(event);
  }
}
