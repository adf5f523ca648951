// Work that is running: counted, so that whoever stops can wait for it.
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';

export class InFlight {
  private count = 0;
  private readonly waiting = new Set<() => void>();

  get size(): number {
    return this.count;
  }

  /** Counts a piece of work until it ends, however it ends. */
  async track<T>(running: Promise<T>): Promise<T> {
    this.count++;
    try {
      return await running;
    } finally {
      if (--this.count === 0) for (const resolve of this.waiting) resolve();
    }
  }

  /** Resolves when nothing runs, or after `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    if (this.count === 0) return;
    const limit = new AbortController();
    const { promise: idle, resolve } = Promise.withResolvers<void>();
    this.waiting.add(resolve);
    await Promise.race([idle, delay(limitMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
    this.waiting.delete(resolve);
    await turn(); // the answers that have just been made are written in this turn
  }
}
