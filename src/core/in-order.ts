// Runs tasks one after another, in the order of their arrival, where one may take several turns of the event loop.

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
