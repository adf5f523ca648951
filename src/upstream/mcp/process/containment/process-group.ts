// The containments of machines without namespaces: a process group, and on Windows the process tree.
import { execFile } from 'node:child_process';
import type { Containment, Enclosure } from './containment.ts';

const VISIBLE = "Nothing hides the gateway's files from it: it reads and changes whatever this user may.";

/** Runs servers with `prefix` in front of their command line, so that at least the first process dies with the gateway. */
export function processGroup(prefix: readonly string[]): Containment {
  const escape =
    prefix.length === 0
      ? 'nothing ends the server if the gateway is killed, except that its input closes.'
      : 'if the gateway is killed, only the first process is sure to die.';
  const enclosure: Enclosure = {
    wrap: (argv) => [...prefix, ...argv],
    kill: (pid) => {
      signalGroup(pid, 'SIGKILL');
      return Promise.resolve();
    },
  };
  return {
    name: 'process-group',
    description: `In a process group of its own, which is killed when the server stops; ${escape} ${VISIBLE}`,
    open: () => Promise.resolve(enclosure),
  };
}

/** Ignores failures: the group has ended (macOS reports EPERM for a group of zombies), or the gateway notices that no exit follows. */
export function signalGroup(pid: number | undefined, signal: 'SIGKILL' | 'SIGCONT'): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    return;
  }
}

export const WINDOWS_TREE: Containment = {
  name: 'process-tree',
  description: `Its process tree is ended with taskkill when the server stops; nothing ends it if the gateway is killed, except that its input closes. ${VISIBLE}`,
  open: () =>
    Promise.resolve({
      wrap: (argv: readonly string[]) => [...argv],
      kill: (pid: number | undefined) =>
        new Promise<void>((settle) => {
          if (pid === undefined) settle();
          // it fails if the process has ended already
          else execFile('taskkill', ['/PID', String(pid), '/T', '/F'], () => settle());
        }),
    }),
};
