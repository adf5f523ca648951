// A value that must not be printed: it says `[redacted]` to every serializer.
import { inspect } from 'node:util';

const values = new WeakMap<Secret, string>();

/** Holds a secret string; only `reveal` gives it out. */
export class Secret {
  constructor(value: string) {
    values.set(this, value);
  }
  /** The value, for the one place that sends it. */
  reveal(): string {
    return values.get(this) ?? '';
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [inspect.custom](): string {
    return '[redacted]';
  }
}
