// Which calls have an intent in the log and no outcome yet, and which of them will get none of their own.

/** Calls that are followed; beyond that the oldest is forgotten, and stays in flight in the log. */
const MAX_OPEN = 100_000;

/** What is followed of a record. */
interface Followed {
  readonly kind: string;
  /** Only intents and outcomes have one. */
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

  /** Those that an outcome must be written for, oldest first. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** Takes note of a record that is in the log. */
  follow({ kind, call = '' }: Followed): void {
    if (kind === 'intent') {
      this.#open.add(call);
      if (this.#open.size > MAX_OPEN) this.#forgetOldest();
    } else if (kind === 'outcome') {
      this.#open.delete(call);
      if (this.#owed.size > 0) this.#owed.delete(call);
    }
  }

  /** Takes note of a record that could not be written: nobody will write the outcome again. */
  lose({ kind, call = '' }: Followed): void {
    if (kind === 'outcome' && this.#open.has(call)) this.#owed.add(call);
  }

  /** Those who would write the outcomes of all these calls are gone. */
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
