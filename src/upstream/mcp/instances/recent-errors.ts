// The last errors of a server, for an operator who looks for what is wrong with it.
import { BOUNDS } from '../../../core/bounds/bounds.ts';

export interface RecentError {
  /** What callers may read. */
  readonly message: string;
  /** For the operator alone; from the last time. */
  readonly detail?: string | undefined;
  /** UTC ms, the last time. */
  readonly at: number;
  /** How often it came in a row. */
  readonly times: number;
}

/** A bounded list, the oldest first; an error that repeats is one entry. */
export class RecentErrors {
  private errors: readonly RecentError[] = [];

  get last(): RecentError | undefined {
    return this.errors.at(-1);
  }

  get all(): readonly RecentError[] {
    return this.errors;
  }

  record(text: string, detail?: string): void {
    const message = text.slice(0, BOUNDS.recentErrorText);
    const { last } = this;
    const repeated = last?.message === message;
    const before = repeated ? this.errors.slice(0, -1) : this.errors;
    this.errors = [
      ...before,
      {
        message,
        detail: detail?.slice(0, BOUNDS.recentErrorText),
        at: Date.now(),
        times: repeated ? last.times + 1 : 1,
      },
    ].slice(-BOUNDS.recentErrors);
  }
}
