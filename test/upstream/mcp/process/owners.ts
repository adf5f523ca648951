// Processes that own servers as the gateway does, also as other users, for tests that kill or stop them.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { descendants, fixture, marked } from '../processes.ts';

/** The words that run a command as a user who is not root. */
export const AS_NOBODY: readonly string[] = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

interface Owner {
  readonly count: number;
  readonly containment?: 'best' | 'process-group';
  /** The words that run it as another user. */
  readonly as?: readonly string[];
  /** The state to wait for: its servers are being started, or all run. */
  readonly until?: 'starting' | 'ready';
  /** The command of each of its servers; a family of processes that ignore signals if absent. */
  readonly command?: readonly string[];
}

/** Starts an owner of that many servers. */
export async function startOwner({
  count,
  containment = 'best',
  as = [],
  until = 'ready',
  command = [fixture('family.sh'), 'deaf'],
}: Owner) {
  const marker = randomUUID();
  const words = [process.execPath, fixture('owner.ts'), String(count), containment, marker, ...command];
  const [file, ...args] = [...as, ...words] as [string, ...string[]];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
  onTestFinished(() => {
    child.kill('SIGKILL');
    for (const pid of marked(marker)) process.kill(pid, 'SIGKILL');
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith(until)) return { child, marker, containment: line.split(' ')[1] };
  }
  throw new Error(`the owner did not start: ${complaint}`);
}

/** Ends an owner with a signal; resolves with the processes that descended from it before. */
export async function endOwner(
  { child }: Awaited<ReturnType<typeof startOwner>>,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<number[]> {
  const family = descendants(child.pid!);
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
  return family;
}
