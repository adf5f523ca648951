// CPU time of a process and everything below it, from /proc: all threads, and children that have already ended.
import { readdirSync, readFileSync } from 'node:fs';

/** What Linux calls a clock tick in /proc, in microseconds: USER_HZ is 100 on every architecture that Node runs on. */
const TICK = 10_000;

interface Stat {
  readonly parent: number;
  readonly own: number;
  readonly ended: number;
}

function stat(pid: number): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined;
    throw error;
  }
  // The name in parentheses may hold anything; what follows is numbers (proc_pid_stat(5), from field 3 on).
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const at = (field: number): number => fields[field - 3] ?? 0;
  return { parent: at(4), own: at(14) + at(15), ended: at(16) + at(17) };
}

/** The ids of a process and of all its descendants. */
export function family(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = stat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** CPU time of the processes so far, in microseconds, with that of their children that have ended. */
export function cpuMicros(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const found = stat(pid);
    if (found) ticks += found.own + found.ended;
  }
  return ticks * TICK;
}
