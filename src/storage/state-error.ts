// The error about the state directory and its files, for which the command line exits with 8.

/** `in_use`: another process owns the state directory; `newer`: a newer version wrote the file; `unusable`: any other reason. */
export type StateErrorReason = 'in_use' | 'newer' | 'unusable';

/** Thrown where state on disk cannot be used; the message says what, why, and what to do. */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly exitCode = 8;
  readonly reason: StateErrorReason;

  constructor(message: string, options: { reason?: StateErrorReason; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = options.reason ?? 'unusable';
  }
}

/** The error about a file that a newer version wrote; it names both versions. */
export function newerState(file: string, found: number, known: number): StateError {
  return new StateError(
    `${file} has version ${found}, this program knows version ${known} at most: a newer one wrote it. ` +
      `Run that newer version, or use another state directory.`,
    { reason: 'newer' },
  );
}
