// Ending on a signal: the first one ends in order, a second one at once.
import { EXIT } from './exit-codes.ts';

const STATUS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** Resolves with the exit status when a signal asks to end; from then on another one ends the process where it stands. */
export function untilSignal(): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(STATUS[signal]);
        asked = true;
        resolve(STATUS[signal]);
      });
    }
  });
}
