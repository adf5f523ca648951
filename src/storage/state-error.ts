// The error of the state directory and what is in it; the command line exits with 8 on it.

/** `in_use`: another process owns the state; `newer`: a later version wrote it; `unusable`: anything else that stops us. */
export type StateErrorReason = 'in_use' | 'newer' | 'unusable';

/** Thrown when state on disk cannot be used; the message says what, why, and what to do. */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly exitCode = 8;
  readonly reason: StateErrorReason;

  constructor(message: string, options: { reason?: StateErrorReason; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = options.reason ?? 'unusable';
  }
}

/** The error about state that a later version wrote: both versions named. */
export function newerState(file: string, found: number, known: number): StateError {
  return new StateError(
    `${file} has version ${found}, this program knows version ${known} at most: a newer one wrote it. ` +
      `Run that newer version, or use another state directory.`,
    { reason: 'newer' },
  );
}
