// Linux namespaces: opens the one of a server, and builds the command line that runs a program inside.
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import { withDeadline, within } from '../../../../core/wait.ts';
import type { ContainmentName, Enclosure } from './containment.ts';
import { type Holder, holdOpen } from './holder.ts';
import type { Tools } from './machine.ts';
import { signalGroup } from './process-group.ts';

/** A way to make namespaces on this machine. */
export interface NamespaceKind {
  readonly name: ContainmentName & ('pid-namespace' | 'user-namespace');
  readonly tools: Tools;
  /** What makes the user namespace of a server, inside of which it runs as itself; empty where there is none. */
  readonly userFlags: readonly string[];
  /** The server is root inside, so that what it may do has to be taken from it. */
  readonly isRoot: boolean;
}

/**
 * What root needs to undo a mount, to look into other processes, or to read the disk past its mounts: it loses them for good, in
 * every program that it starts. Without them `umount` fails, and so does `unshare`, but for a user namespace in which mounts that
 * come from outside are locked.
 */
const TAKEN = ['sys_admin', 'sys_ptrace', 'mknod', 'sys_module', 'sys_rawio', 'dac_read_search'];
const WITHOUT = [`--bounding-set=${TAKEN.map((name) => `-${name}`).join()}`, '--inh-caps=-all', '--ambient-caps=-all'];

/** A server's namespaces, and what holds them. */
export interface ServerNamespace extends Enclosure {
  readonly pid: number;
}

/**
 * A namespace whose first process is `cat`, and which the server joins. `cat` ends when its input does, which is when the gateway
 * closes it or is no more, and the kernel ends every process of a namespace with its first. Running the server itself as the first
 * leaves a gap: the gateway may die after a process is spawned and before that has asked to die with it. Here nothing is started
 * before `cat` has answered, and nobody can join a namespace that has ended. Nor is the server process 1, to which signals mean
 * something else. What `base` mounted is mounted here too, and locked where this is another user namespace.
 */
export async function openNamespace(kind: NamespaceKind, base?: Pick<Holder, 'pid'>): Promise<ServerNamespace> {
  const { tools, userFlags } = kind;
  // `--propagation slave` lets the server see what is mounted later, outside and in the base.
  const flags = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--propagation', 'slave'];
  const below = base === undefined ? [] : enter(kind, base);
  const unshare = [tools.unshare, ...userFlags, ...flags, '--', tools.cat];
  const { pid, close } = await holdOpen([...dieWithOwner(tools), ...below, ...unshare]);
  const join = enter(kind, { pid }, `--pid=/proc/${pid}/ns/pid_for_children`);
  const weaken = kind.isRoot ? [tools.setpriv, ...WITHOUT, '--'] : [];
  return {
    pid,
    // Joining a mount namespace leaves a process in its root; `unshare` without namespaces is a chdir and an exec.
    wrap: (command, cwd) => [...wokenByEnd(tools), ...join, ...weaken, tools.unshare, `--wd=${cwd}`, '--', ...command],
    kill: (server) => endNamespace(close, server),
  };
}

/** The kernel delivers this when the thread that spawned the process ends, so servers are spawned from the main thread. */
export function dieWithOwner({ setpriv }: Pick<Tools, 'setpriv'>): string[] {
  return [setpriv, '--pdeathsig', 'KILL', '--'];
}

/** Wakes what is stopped when its owner ends, so that it takes notice of the end of what it started. */
function wokenByEnd({ setpriv }: Pick<Tools, 'setpriv'>): string[] {
  return [setpriv, '--pdeathsig', 'CONT', '--'];
}

/**
 * Ends a namespace, and `nsenter` with it, which waits outside for what it started. `nsenter` stops when that does, and a stopped one
 * reaps nothing, for which the kernel waits with the end of the namespace (pid_namespaces(7)). So it is woken until all is gone, and
 * killed only where that takes too long: whoever inherits its child then may never reap it.
 */
async function endNamespace(close: () => Promise<void>, nsenter: number | undefined): Promise<void> {
  const waking = setInterval(() => signalGroup(nsenter, 'SIGCONT'), BOUNDS.stoppedProcessWake);
  const closed = withDeadline(close(), BOUNDS.namespaceClosing, () => signalGroup(nsenter, 'SIGKILL'));
  await within(closed, 2 * BOUNDS.namespaceClosing);
  clearInterval(waking);
}

/** What runs a program in the user and mount namespace of a process. */
export function enter({ tools, userFlags }: NamespaceKind, { pid }: { pid: number }, ...more: string[]): string[] {
  const ns = `/proc/${pid}/ns`;
  // Else it would become root of the namespace, which is not always somebody there.
  const user = userFlags.length > 0 ? [`--user=${ns}/user`, '--preserve-credentials'] : [];
  return [tools.nsenter, ...user, `--mount=${ns}/mnt`, ...more, '--'];
}
