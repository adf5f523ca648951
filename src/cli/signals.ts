// Ends the process on signals: the first one in order, a second one at once.
import { SECOND } from '../core/bounds/bound.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { EXIT } from './exit-codes.ts';
import { say } from './output.ts';

const STATUS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** Resolves with the exit status at the first signal. A second one, or `processEndTime`, ends the process where it stands. */
export function untilSignal(): Promise<number> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(STATUS[signal]);
        asked = true;
        setTimeout(() => {
          say(
            `mcp-gateway: it did not end within ${BOUNDS.processEndTime / SECOND} s of ${signal}, and is ended where it stands.`,
          );
          process.exit(STATUS[signal]);
        }, BOUNDS.processEndTime).unref();
        resolve(STATUS[signal]);
      });
    }
  });
}
