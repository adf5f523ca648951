// Bounds the bytes of the events that all sessions together keep for replay; the oldest event goes first, whichever session has it.
import { BoundedMap } from '../../core/bounded-map.ts';

/** An event that a session keeps for clients that reconnect. */
export interface Replayable {
  readonly bytes: number;
  /** Makes its session drop it; the budget has removed it already. */
  release(): void;
}

export class ReplayBudget {
  private readonly events: BoundedMap<Replayable, Replayable>;

  /** `most` is in bytes. */
  constructor(most: number) {
    this.events = new BoundedMap({ most, weigh: ({ bytes }) => bytes, evicted: (event) => event.release() });
  }

  get bytes(): number {
    return this.events.weight;
  }

  add(event: Replayable): void {
    this.events.set(event, event);
  }

  remove(event: Replayable): void {
    this.events.delete(event);
  }
}
