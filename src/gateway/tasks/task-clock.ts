// How long a task may still keep its caller waiting: as long as a call, whose clocks stand still while a question is with the caller.
import { HARD_LIMIT_MS } from '../../upstream/mcp/wire/wire.ts';

export class TaskClock {
  private readonly totalMs: number;
  private startedAt = performance.now();
  private movedAt = this.startedAt;
  private holds = 0;
  private heldAt = 0;

  /** `totalMs` is how long the task may stand still. */
  constructor(totalMs: number) {
    this.totalMs = totalMs;
  }

  /** What is left, in ms; not above 0 when the time is over. */
  get leftMs(): number {
    const hardMs = Math.max(HARD_LIMIT_MS, this.totalMs);
    return Math.min(this.movedAt + this.totalMs, this.startedAt + hardMs) - this.now();
  }

  /** The task shows that it goes on: its time begins anew, up to the hard limit. */
  moved(): void {
    this.movedAt = this.now();
  }

  /** Stops the clock; as often as it is called, `release` has to be called before it goes on. */
  hold(): void {
    if (this.holds++ === 0) this.heldAt = performance.now();
  }

  release(): void {
    if (this.holds === 0 || --this.holds > 0) return;
    const held = performance.now() - this.heldAt;
    this.startedAt += held;
    this.movedAt += held;
  }

  private now(): number {
    return this.holds > 0 ? this.heldAt : performance.now();
  }
}
