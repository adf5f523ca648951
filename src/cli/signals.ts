// Ending on a signal: the first one ends in order, a second one at once.
import { EXIT } from './exit-codes.ts';
import { say } from './output.ts';

/** Calls have 10 s to finish and servers a few more to close; whatever holds up the end longer than this is stuck. */
export const LONGEST_END_MS = 20_000;

const STATUS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** Resolves with the exit status when a signal asks to end; from then on another one ends the process where it stands. */
export function untilSignal(): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(STATUS[signal]);
        asked = true;
        setTimeout(() => {
          say(
            `mcp-gateway: it did not end within ${LONGEST_END_MS / 1_000} s of ${signal}, and is ended where it stands.`,
          );
          process.exit(STATUS[signal]);
        }, LONGEST_END_MS).unref();
        resolve(STATUS[signal]);
      });
    }
  });
}
