// Opens the Linux namespaces of a server, and builds the command line that runs a program inside.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BOUNDS } from '../../../../core/bounds/bounds.ts';
import { withDeadline, within } from '../../../../core/cancellation.ts';
import type { ContainmentName, Enclosure } from './containment.ts';
import type { Tools } from './machine.ts';
import { signalGroup } from './process-group.ts';

/** A way to make namespaces on this machine. */
export interface NamespaceKind {
  readonly name: ContainmentName & ('pid-namespace' | 'user-namespace');
  readonly tools: Tools;
  /** The flags of `unshare` for the user namespace of a server, in which it keeps its user; empty if it gets none. */
  readonly userFlags: readonly string[];
  /** Whether the server is root inside, so that capabilities have to be taken from it. */
  readonly isRoot: boolean;
}

/**
 * The capabilities with which root could undo a mount, look into other processes, or read the disk past its mounts. A server and every
 * program that it starts lose them for good. Then `umount` fails, and so does `unshare`, except for a user namespace, in which mounts from
 * outside are locked.
 */
const DROPPED = ['sys_admin', 'sys_ptrace', 'mknod', 'sys_module', 'sys_rawio', 'dac_read_search'];
const DROP_CAPABILITIES = [
  `--bounding-set=${DROPPED.map((name) => `-${name}`).join()}`,
  '--inh-caps=-all',
  '--ambient-caps=-all',
];

/** A server's namespaces; `pid` is their holder. */
export interface ServerNamespace extends Enclosure {
  readonly pid: number;
}

/**
 * Opens a namespace whose first process is `cat`, and which the server joins. `cat` ends when its input ends: when the gateway closes it,
 * or has ended itself. The kernel ends every process of a namespace with its first.
 *
 * If the server itself were the first process, there would be a gap: the gateway may die after it spawned the process and before the process
 * has asked to die with it. Here nothing starts before `cat` has answered, and no process can join a namespace that has ended. Also, the
 * server is not process 1, for which signals work differently.
 *
 * The mounts of `base` are in this namespace too; they are locked if it has a user namespace of its own.
 */
export async function openNamespace(kind: NamespaceKind, base?: Pick<Holder, 'pid'>): Promise<ServerNamespace> {
  const { tools, userFlags } = kind;
  // `--propagation slave`: later mounts in the base and outside reach the server
  const flags = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--propagation', 'slave'];
  const inBase = base === undefined ? [] : enter(kind, base);
  const unshare = [tools.unshare, ...userFlags, ...flags, '--', tools.cat];
  const { pid, close } = await holdOpen([...dieWithOwner(tools), ...inBase, ...unshare]);
  const join = enter(kind, { pid }, `--pid=/proc/${pid}/ns/pid_for_children`);
  const dropRights = kind.isRoot ? [tools.setpriv, ...DROP_CAPABILITIES, '--'] : [];
  return {
    pid,
    // a process that joins a mount namespace is in its root; `unshare` without namespaces only changes the directory
    wrap: (command, cwd) => [
      ...wakeWithOwner(tools),
      ...join,
      ...dropRights,
      tools.unshare,
      `--wd=${cwd}`,
      '--',
      ...command,
    ],
    kill: (server) => endNamespace(close, server),
  };
}

/** Kills a process when its parent ends. The parent is a thread for the kernel, so the gateway spawns servers from its main thread. */
export function dieWithOwner({ setpriv }: Pick<Tools, 'setpriv'>): string[] {
  return [setpriv, '--pdeathsig', 'KILL', '--'];
}

/** Wakes a stopped process when the gateway ends, so that it reaps its children. */
function wakeWithOwner({ setpriv }: Pick<Tools, 'setpriv'>): string[] {
  return [setpriv, '--pdeathsig', 'CONT', '--'];
}

/**
 * Ends a namespace and its `nsenter`, which waits outside for the process that it started. `nsenter` stops when that process stops, and a
 * stopped `nsenter` reaps nothing, but the kernel ends the namespace only after that (pid_namespaces(7)). So the gateway wakes `nsenter` until
 * all is over. It kills `nsenter` only if that takes too long, since the process that inherits the child may never reap it.
 */
async function endNamespace(close: () => Promise<void>, nsenter: number | undefined): Promise<void> {
  const waking = setInterval(() => signalGroup(nsenter, 'SIGCONT'), BOUNDS.stoppedProcessWake);
  const closed = withDeadline(close(), BOUNDS.namespaceClosing, () => signalGroup(nsenter, 'SIGKILL'));
  await within(closed, 2 * BOUNDS.namespaceClosing);
  clearInterval(waking);
}

/** The beginning of a command line that runs a program in the user and mount namespace of a process. */
export function enter({ tools, userFlags }: NamespaceKind, { pid }: { pid: number }, ...more: string[]): string[] {
  const ns = `/proc/${pid}/ns`;
  // otherwise it would become root of the namespace, which may have no root
  const user = userFlags.length > 0 ? [`--user=${ns}/user`, '--preserve-credentials'] : [];
  return [tools.nsenter, ...user, `--mount=${ns}/mnt`, ...more, '--'];
}

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
