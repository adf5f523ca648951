// A process that holds a namespace open for as long as the gateway lives.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import { withDeadline } from '../../../../core/wait.ts';

/** A running holder; what it holds open ends with it. */
export interface Holder {
  readonly pid: number;
  /** Resolves when it is gone, closed or killed. */
  readonly ended: Promise<void>;
  /** Resolves when it is gone; repeating it changes nothing. */
  close(): Promise<void>;
}

/**
 * Starts a command that in the end echoes its input, and resolves when it has done so once: from then on it ends when its input does,
 * which is when the gateway closes it or is no more. Throws an Error with what the command complained of.
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
  // A broken pipe means that the process ends, which `closed` tells.
  holder.stdin.on('error', () => undefined);
  holder.stdin.write('\n');
  const answered = Promise.race([once(holder.stdout, 'data'), closed]);
  const armed = await withDeadline(answered, BOUNDS.namespaceOpening, () => holder.kill('SIGKILL'));
  if (armed === undefined || holder.pid === undefined) {
    throw new Error(`a namespace could not be opened: ${complaint.trim() || 'no answer from inside'}`);
  }
  const close = (): Promise<void> => {
    if (holder.stdin.writableEnded) return closed;
    holder.stdin.end();
    return withDeadline(closed, BOUNDS.namespaceClosing, () => holder.kill('SIGKILL'));
  };
  return { pid: holder.pid, ended: closed, close };
}
