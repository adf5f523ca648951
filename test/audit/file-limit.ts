// Makes the kernel refuse writes behind a size of file, with a short write first, as a full disk does; needs no rights.
import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';

/** Whether this system can. */
export const CAN_LIMIT = process.platform === 'linux';

/** Lets no file of this process grow over so many bytes, until the test is over or the returned function is called. */
export function limitFileSize(bytes: number): () => void {
  // without a listener the signal ends the process instead
  const ignore = (): void => undefined;
  process.on('SIGXFSZ', ignore);
  const set = (limit: string): void => void execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${limit}:`]);
  set(String(bytes));
  let isLimited = true;
  const lift = (): void => {
    if (!isLimited) return;
    isLimited = false;
    set('unlimited');
    process.removeListener('SIGXFSZ', ignore);
  };
  onTestFinished(lift);
  return lift;
}
