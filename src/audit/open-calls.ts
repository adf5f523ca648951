// Which calls have an intent in the log and no outcome yet, and for which of them the log itself must write the outcome.
import { BOUNDS } from '../core/bounds/bounds.ts';

/** The part of a record that matters here. */
interface Followed {
  readonly kind: string;
  /** Absent in events. */
  readonly call?: string;
}

/** Follows calls from intent to outcome. */
export class OpenCalls {
  readonly #open: Set<string>;
  readonly #owed = new Set<string>();

  constructor(calls: Iterable<string> = []) {
    this.#open = new Set(calls);
  }

  /** Oldest first. */
  get all(): readonly string[] {
    return [...this.#open];
  }

  /** The calls for which the log must write an outcome, oldest first. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** Follows a record that was committed. */
  follow({ kind, call = '' }: Followed): void {
    if (kind === 'intent') {
      this.#open.add(call);
      if (this.#open.size > BOUNDS.auditOpenCalls) this.#forgetOldest();
    } else if (kind === 'outcome') {
      this.#open.delete(call);
      if (this.#owed.size > 0) this.#owed.delete(call);
    }
  }

  /** Follows a record that could not be written: of a lost outcome the log must write one later, since its caller does not retry. */
  lose({ kind, call = '' }: Followed): void {
    if (kind === 'outcome' && this.#open.has(call)) this.#owed.add(call);
  }

  /** The process that would write the outcomes of all open calls has ended: the log must write them. */
  loseAll(): void {
    for (const call of this.#open) this.#owed.add(call);
  }

  #forgetOldest(): void {
    for (const call of this.#open) {
      this.#open.delete(call);
      this.#owed.delete(call);
      return;
    }
  }
}
