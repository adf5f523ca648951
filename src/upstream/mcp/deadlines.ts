// The total time limit of running requests: one coarse clock for all, so that a request costs no timer of its own.
import { Slots } from '../../core/slots.ts';

/** How often the clock looks; a request ends at most this much after its limit. */
const TICK_MS = 100;

/** One running request. `extend` moves its end when progress shows that it is alive, up to the hard limit. */
export interface Deadline {
  extend(): void;
  clear(): void;
}

interface Entry {
  endsAt: number;
  key: number;
  readonly hardEnd: number;
  readonly totalMs: number;
  readonly onExpire: () => void;
}

/** Watches every deadline that it gave out; ticks only while there is one. */
export class Deadlines {
  private readonly entries = new Slots<Entry>();
  private timer: NodeJS.Timeout | undefined;

  /** Calls `onExpire` once `totalMs` have passed without `extend`, and at the latest after `hardMs`. */
  start(totalMs: number, hardMs: number, onExpire: () => void): Deadline {
    const now = performance.now();
    const entry: Entry = { key: 0, endsAt: now + totalMs, hardEnd: now + Math.max(hardMs, totalMs), totalMs, onExpire };
    const key = this.entries.add(entry);
    entry.key = key;
    this.timer ??= setInterval(() => this.tick(), TICK_MS).unref();
    return {
      extend: () => {
        entry.endsAt = Math.min(performance.now() + entry.totalMs, entry.hardEnd);
      },
      clear: () => void this.entries.take(key),
    };
  }

  private tick(): void {
    const now = performance.now();
    for (const entry of this.entries.all()) {
      if (entry.endsAt > now) continue;
      this.entries.take(entry.key);
      entry.onExpire();
    }
    if (this.entries.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
