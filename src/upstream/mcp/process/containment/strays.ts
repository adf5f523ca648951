// Finds the servers that have processes in a mount namespace of their own making.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The holders with a process in their process namespace, or in one below it, that is in another mount namespace. */
export function withForeignMounts<T extends { readonly pid: number }>(holders: readonly T[]): T[] {
  if (holders.length === 0) return [];
  const processes = allProcesses();
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const withDescendants = (found: readonly Process[]): Process[] =>
    found.flatMap((process) => [process, ...withDescendants(children.get(process.pid) ?? [])]);
  return holders.filter(({ pid }) => {
    const mounts = namespaceOf(pid, 'mnt');
    const space = namespaceOf(pid, 'pid_for_children');
    const members = processes.filter((process) => process.space === space);
    // a process that has ended meanwhile has none
    return withDescendants(members).some((process) => (namespaceOf(process.pid, 'mnt') ?? mounts) !== mounts);
  });
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly space: string;
}

function allProcesses(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const space = namespaceOf(Number(name), 'pid');
      const parent = parentOf(name);
      // the namespaces of other users' processes cannot be read; none of these belongs to a server
      return space === undefined || parent === undefined ? [] : [{ pid: Number(name), parent, space }];
    });
}

function namespaceOf(pid: number, kind: 'mnt' | 'pid' | 'pid_for_children'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** The fields follow the name of the program, which stands in brackets and may contain any character. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
