// Counts running work, so that a stop can wait for its end.
import { setImmediate as turn } from 'node:timers/promises';
import { within } from './wait.ts';

export class InFlight {
  private count = 0;
  private readonly waiting = new Set<() => void>();

  private readonly settle = (): void => {
    if (--this.count === 0) for (const resolve of this.waiting) resolve();
  };

  get size(): number {
    return this.count;
  }

  /** Counts a promise until it settles, and returns it: whoever awaits it afterwards finds it counted no more. */
  track<T>(running: Promise<T>): Promise<T> {
    this.count++;
    void running.then(this.settle, this.settle);
    return running;
  }

  /** Resolves when nothing runs, or after `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    if (this.count === 0) return;
    const { promise: idle, resolve } = Promise.withResolvers<void>();
    this.waiting.add(resolve);
    await within(idle, limitMs, { ref: true });
    this.waiting.delete(resolve);
    await turn(); // the last answers are written in this turn of the event loop
  }
}
