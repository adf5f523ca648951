// Things that are handled one after another, in the order in which they came, where one of them may take several turns of the event loop.

/** Handles one thing; a promise where it takes longer. Never throws, never rejects. */
export type Task = () => Promise<void> | void;

export class InOrder {
  private readonly waiting: Task[] = [];
  private busy = false;

  /** Whether something takes its time. */
  get isBusy(): boolean {
    return this.busy;
  }

  /** Runs the task: at once, or when everything before it is done. */
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
