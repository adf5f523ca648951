// How a server's processes are kept together, so that none outlives the gateway: found once by a trial run, opened once per server.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { resolveCommand } from './command.ts';

/** The ways to contain a process tree, strongest first; `process-tree` is Windows. */
export type ContainmentName = 'pid-namespace' | 'user-namespace' | 'process-group' | 'process-tree';

/** One way to contain a process tree on this machine. */
export interface Containment {
  readonly name: ContainmentName;
  /** One line for the operator: what becomes of the processes, and what may escape. */
  readonly description: string;
  /** Opens the place for the processes of one server. Throws an Error with the reason if that fails. */
  open(): Promise<Enclosure>;
}

/** The place for the processes of one server. */
export interface Enclosure {
  /** The command line that runs `argv` inside, in the directory `cwd`. */
  wrap(argv: readonly string[], cwd: string): string[];
  /** Kills everything inside; `pid` is what was spawned, if it was. Resolves when it is done; repeating it changes nothing. */
  kill(pid: number | undefined): Promise<void>;
}

/** The machine that a containment is chosen for: absolute paths of the programs that are installed there. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  /** The effective user id; undefined on Windows. */
  readonly uid: number | undefined;
  readonly setpriv: string | undefined;
  readonly unshare: string | undefined;
  readonly nsenter: string | undefined;
  readonly cat: string | undefined;
}

const OPEN_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** How often a stopped process is woken, so that it takes notice of the end of what it started. */
const WAKE_MS = 10;

let detected: Promise<Containment> | undefined;

/** The strongest containment that works here. Tries them once per process, with a trial run of a few milliseconds each. */
export function detectContainment(): Promise<Containment> {
  detected ??= firstWorking(containmentsFor(thisMachine()));
  return detected;
}

/** Every containment worth trying on a machine, strongest first; the last one needs nothing and always works. */
export function containmentsFor(machine: Machine): [...Containment[], Containment] {
  if (machine.platform === 'win32') return [WINDOWS_TREE];
  const { setpriv } = machine;
  if (machine.platform !== 'linux' || setpriv === undefined) return [processGroup([])];
  // The kernel delivers this when the thread that spawned the process ends, so servers are spawned from the main thread.
  const dieWithOwner = [setpriv, '--pdeathsig', 'KILL', '--'];
  const wokenByEnd = [setpriv, '--pdeathsig', 'CONT', '--'];
  return [...namespaces(machine, { dieWithOwner, wokenByEnd }), processGroup(dieWithOwner), processGroup([])];
}

function namespaces(
  { uid, unshare, nsenter, cat }: Machine,
  prefixes: Pick<NamespaceTools, 'dieWithOwner' | 'wokenByEnd'>,
): Containment[] {
  if (unshare === undefined || nsenter === undefined || cat === undefined) return [];
  const tools = { unshare, nsenter, cat, ...prefixes };
  const pid: Containment = {
    name: 'pid-namespace',
    description: 'In a process namespace of its own: every process of the server dies with it and with the gateway.',
    open: () => openNamespace(tools, []),
  };
  const user = (mapping: string): Containment => ({
    name: 'user-namespace',
    description:
      'In a process and user namespace of its own: every process of the server dies with it and with the gateway; sudo and other setuid programs do not work inside.',
    open: () => openNamespace(tools, ['--user', mapping]),
  });
  // Root without CAP_SYS_ADMIN, as in a container, may still be allowed a user namespace. Being told that it is root changes
  // what a program does (npm, browsers), so the user's own id is mapped where unshare is new enough to do that.
  const unprivileged = [user('--map-current-user'), user('--map-root-user')];
  return uid === 0 ? [pid, ...unprivileged] : unprivileged;
}

interface NamespaceTools {
  readonly unshare: string;
  readonly nsenter: string;
  readonly cat: string;
  readonly dieWithOwner: readonly string[];
  /** Wakes what is stopped when its owner ends, so that it takes notice of the end of what it started. */
  readonly wokenByEnd: readonly string[];
}

/**
 * A namespace whose first process is `cat`, and which the server joins. `cat` ends when its input does, which is when the gateway
 * closes it or is no more, and the kernel ends every process of a namespace with its first. Running the server itself as the first
 * leaves a gap: the gateway may die after a process is spawned and before that has asked to die with it. Here nothing is started
 * before `cat` has answered, and nobody can join a namespace that has ended. Nor is the server process 1, to which signals mean
 * something else.
 */
async function openNamespace(tools: NamespaceTools, userFlags: readonly string[]): Promise<Enclosure> {
  // `--propagation slave` lets the server see what is mounted later, as it would outside.
  const flags = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--propagation', 'slave'];
  const argv = [...tools.dieWithOwner, tools.unshare, ...userFlags, ...flags, '--', tools.cat];
  const { pid, close } = await holdOpen(argv);
  const ns = `/proc/${pid}/ns`;
  const user = userFlags.length > 0 ? [`--user=${ns}/user`, '--preserve-credentials'] : [];
  const nsenter = [...tools.wokenByEnd, tools.nsenter, ...user];
  const enter = [...nsenter, `--mount=${ns}/mnt`, `--pid=${ns}/pid_for_children`, '--', tools.unshare];
  return {
    // Joining a mount namespace leaves a process in its root; `unshare` without namespaces is a chdir and an exec.
    wrap: (command, cwd) => [...enter, `--wd=${cwd}`, '--', ...command],
    kill: (server) => endNamespace(close, server),
  };
}

/**
 * Ends a namespace, and `nsenter` with it, which waits outside for what it started. `nsenter` stops when that does, and a stopped one
 * reaps nothing, for which the kernel waits with the end of the namespace (pid_namespaces(7)). So it is woken until all is gone, and
 * killed only where that takes too long: whoever inherits its child then may never reap it.
 */
async function endNamespace(close: () => Promise<void>, nsenter: number | undefined): Promise<void> {
  const waking = setInterval(() => signalGroup(nsenter, 'SIGCONT'), WAKE_MS);
  const last = setTimeout(() => signalGroup(nsenter, 'SIGKILL'), CLOSE_TIMEOUT_MS);
  const over = new AbortController();
  const late = delay(2 * CLOSE_TIMEOUT_MS, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([close(), late]);
  over.abort();
  clearInterval(waking);
  clearTimeout(last);
}

/** Starts a command that echoes its input, and resolves when it has done so once: from then on it ends when its input does. */
async function holdOpen([file = '', ...args]: readonly string[]): Promise<{ pid: number; close: () => Promise<void> }> {
  const holder = spawn(file, args, { cwd: '/', env: {}, stdio: 'pipe', detached: true });
  await once(holder, 'spawn');
  const closed = new Promise<void>((settle) => {
    holder.once('close', () => settle());
  });
  let complaint = '';
  holder.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(0, 500);
  });
  // A pipe that breaks says no more than the end of the process, which is waited for.
  holder.stdin.on('error', () => undefined);
  const timer = setTimeout(() => holder.kill('SIGKILL'), OPEN_TIMEOUT_MS);
  holder.stdin.write('\n');
  const armed = await Promise.race([once(holder.stdout, 'data'), closed]);
  clearTimeout(timer);
  if (armed === undefined || holder.pid === undefined) {
    throw new Error(`a namespace could not be opened: ${complaint.trim() || 'no answer from inside'}`);
  }
  const close = (): Promise<void> => {
    if (holder.stdin.writableEnded) return closed;
    holder.stdin.end();
    const late = setTimeout(() => holder.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    return closed.finally(() => clearTimeout(late));
  };
  return { pid: holder.pid, close };
}

function processGroup(prefix: readonly string[]): Containment {
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
    description: `In a process group of its own, which is killed when the server stops; ${escape}`,
    open: () => Promise.resolve(enclosure),
  };
}

/** What cannot be sent a signal is gone already (macOS says EPERM of a group of zombies), or shows by the exit that does not come. */
function signalGroup(pid: number | undefined, signal: 'SIGKILL' | 'SIGCONT'): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    return;
  }
}

const WINDOWS_TREE: Containment = {
  name: 'process-tree',
  description:
    'Its process tree is ended with taskkill when the server stops; nothing ends it if the gateway is killed, except that its input closes.',
  open: () =>
    Promise.resolve({
      wrap: (argv: readonly string[]) => [...argv],
      kill: (pid: number | undefined) =>
        new Promise<void>((settle) => {
          if (pid === undefined) settle();
          // It fails when the process is gone already, which is as good.
          else execFile('taskkill', ['/PID', String(pid), '/T', '/F'], () => settle());
        }),
    }),
};

function thisMachine(): Machine {
  const find = (program: string) => (process.platform === 'linux' ? installed(program) : undefined);
  return {
    platform: process.platform,
    uid: process.geteuid?.(),
    setpriv: find('setpriv'),
    unshare: find('unshare'),
    nsenter: find('nsenter'),
    cat: find('cat'),
  };
}

function installed(program: string): string | undefined {
  try {
    return resolveCommand(program, { path: '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin', cwd: '/' });
  } catch {
    return undefined;
  }
}

async function firstWorking([first, ...rest]: readonly Containment[]): Promise<Containment> {
  if (first === undefined) return processGroup([]);
  return rest.length === 0 || (await works(first)) ? first : firstWorking(rest);
}

/** A containment works if something runs in it; the runtime itself is there for sure, but `true` is a hundred times cheaper. */
async function works(containment: Containment): Promise<boolean> {
  try {
    const enclosure = await containment.open();
    const ran = await runs(enclosure.wrap([installed('true') ?? process.execPath, '--version'], '/'));
    await enclosure.kill(undefined);
    return ran;
  } catch {
    return false;
  }
}

function runs([file = '', ...args]: readonly string[]): Promise<boolean> {
  return new Promise((settle) => {
    const trial = spawn(file, args, { stdio: 'ignore', env: {}, timeout: OPEN_TIMEOUT_MS, killSignal: 'SIGKILL' });
    trial.once('error', () => settle(false));
    trial.once('exit', (code) => settle(code === 0));
  });
}
