// Hides the gateway's files in a base mount namespace, from which the namespaces of servers are copied.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import type { Enclosure, ProtectedPaths, Protection } from './containment.ts';
import { firstScript, renewingScript, unpinned } from './mounts.ts';
import {
  dieWithOwner,
  enter,
  type Holder,
  holdOpen,
  type NamespaceKind,
  openNamespace,
  type ServerNamespace,
} from './namespace.ts';

/**
 * Makes the mounts once, in a base namespace that has only a holder in it. A server's namespace is a copy of it, which costs no mount and
 * receives later mounts: so the gateway hides a new file from running servers. Without root, the base belongs to a user namespace above those
 * of the servers, so that its mounts are locked in theirs.
 */
export async function protect(
  kind: NamespaceKind,
  { paths, description }: { readonly paths: ProtectedPaths; readonly description: string },
): Promise<Protection> {
  const { tools, userFlags } = kind;
  const user = userFlags.length > 0 ? ['--user', '--map-root-user'] : [];
  const unshare = [tools.unshare, ...user, '--mount', '--propagation', 'slave', '--', tools.sh];
  const { script, pins } = firstScript(tools, paths);
  const base = await holdOpen([...dieWithOwner(tools), ...unshare, ...script]);
  const [movable] = unpinned(pins, base.pid);
  if (movable !== undefined) {
    await base.close();
    throw new Error(`${movable} could be moved away by servers`);
  }
  return new ProtectedNamespaces(kind, { base, description });
}

class ProtectedNamespaces implements Protection {
  readonly name: NamespaceKind['name'];
  readonly description: string;
  readonly ended: Promise<void>;
  private readonly kind: NamespaceKind;
  private readonly base: Holder;
  private readonly servers = new Set<ServerNamespace>();
  private closed = false;

  constructor(kind: NamespaceKind, { base, description }: { readonly base: Holder; readonly description: string }) {
    this.name = kind.name;
    this.description = description;
    this.kind = kind;
    this.base = base;
    this.ended = base.ended;
  }

  async open(): Promise<Enclosure> {
    const namespace = await openNamespace(this.kind, this.base);
    if (this.closed) await namespace.kill(undefined);
    else this.servers.add(namespace);
    return {
      wrap: (argv, cwd) => namespace.wrap(argv, cwd),
      kill: (pid) => {
        this.servers.delete(namespace);
        return namespace.kill(pid);
      },
    };
  }

  async renew(paths: ProtectedPaths): Promise<number> {
    const hidden = await this.run(renewingScript(this.kind.tools, paths));
    if (hidden === '') return 0;
    // a mount namespace that a server made for itself may not receive the new mounts
    const unreached = withForeignMounts([...this.servers]);
    await Promise.all(unreached.map((namespace) => namespace.kill(undefined)));
    return unreached.length;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.servers].map((namespace) => namespace.kill(undefined)));
    await this.base.close();
  }

  private run(script: readonly string[]): Promise<string> {
    const [file = '', ...args] = [...enter(this.kind, this.base), this.kind.tools.sh, ...script];
    return new Promise((settle, fail) => {
      execFile(file, args, { cwd: '/', env: {}, timeout: BOUNDS.fileHiding }, (error, stdout, stderr) => {
        if (error === null) settle(stdout);
        else fail(new Error(stderr.trim().slice(0, BOUNDS.quotedOutput) || 'it took too long', { cause: error }));
      });
    });
  }
}

/** The holders with a process in their process namespace, or in one below it, that is in another mount namespace. */
function withForeignMounts<T extends { readonly pid: number }>(holders: readonly T[]): T[] {
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
