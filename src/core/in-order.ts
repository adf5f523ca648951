// Runs tasks one after another, where one may take several turns of the event loop, and pauses the source that causes too many of them.
import { BOUNDS } from './bounds/bounds.ts';

/** A task; it returns a promise where it takes several turns. Never throws, never rejects. */
export type Task = () => Promise<void> | void;

export class InOrder {
  private readonly waiting: Task[] = [];
  private busy = false;

  /** Whether a task is running over several turns. */
  get isBusy(): boolean {
    return this.busy;
  }

  /** Runs the task: at once, or after all earlier ones. */
  run(task: Task): void {
    if (this.busy) {
      this.waiting.push(task);
      return;
    }
    const running = task();
    if (running) void this.drain(running);
  }

  private async drain(running: Promise<void>): Promise<void> {
    this.busy = true;
    await running;
    for (let task = this.waiting.shift(); task; task = this.waiting.shift()) await task();
    this.busy = false;
  }
}

/** A source of bytes. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** Counts what is read of one source. Small messages cost one addition. */
export class ReadFairness {
  private bytes = 0;

  /**
   * Counts bytes that were read. When there were many, pauses the source until the next turn of the event loop, and until the tasks that
   * they led to are done.
   */
  read(bytes: number, source: Pausable, tasks?: InOrder): void {
    this.bytes += bytes;
    if (this.bytes < BOUNDS.readTurn) return;
    this.bytes = 0;
    source.pause();
    setImmediate(() => {
      if (tasks) tasks.run(() => void source.resume());
      else source.resume();
    });
  }
}
