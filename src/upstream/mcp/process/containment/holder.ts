// A process that holds a namespace open for as long as the gateway lives.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import { withDeadline } from '../../../../core/wait.ts';

/** A running holder. Its namespace ends with it. */
export interface Holder {
  readonly pid: number;
  /** Resolves when it has ended, because it was closed or killed. */
  readonly ended: Promise<void>;
  /** Ends it; resolves when it has ended. Further calls change nothing. */
  close(): Promise<void>;
}

/**
 * Starts a command whose last program echoes its input, and resolves after the first echo. From then on the holder ends when its input
 * ends: when the gateway closes it, or has ended itself. Throws an Error with what the command wrote to stderr.
 */
export async function holdOpen([file = '', ...args]: readonly string[]): Promise<Holder> {
  const holder = spawn(file, args, { cwd: '/', env: {}, stdio: 'pipe', detached: true });
  await once(holder, 'spawn');
  const closed = new Promise<void>((settle) => {
    holder.once('close', () => settle());
  });
  let complaint = '';
  holder.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(0, BOUNDS.quotedOutput);
  });
  // a broken pipe means that the process ends, and then `closed` resolves
  holder.stdin.on('error', () => undefined);
  holder.stdin.write('\n');
  const answered = Promise.race([once(holder.stdout, 'data'), closed]);
  const ready = await withDeadline(answered, BOUNDS.namespaceOpening, () => holder.kill('SIGKILL'));
  if (ready === undefined || holder.pid === undefined) {
    throw new Error(`a namespace could not be opened: ${complaint.trim() || 'no answer from inside'}`);
  }
  const close = (): Promise<void> => {
    if (holder.stdin.writableEnded) return closed;
    holder.stdin.end();
    return withDeadline(closed, BOUNDS.namespaceClosing, () => holder.kill('SIGKILL'));
  };
  return { pid: holder.pid, ended: closed, close };
}
