// Reads processes and TCP connections of this machine from /proc, in slices, so that other work runs in between.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { BOUNDS } from '../core/bounds/bounds.ts';

/** The client's end of a connection to the gateway. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The time slices of one search: `pause` yields to other work when the slice is used up. */
export class Slices {
  private until = performance.now() + BOUNDS.processSlice;

  async pause(): Promise<void> {
    if (performance.now() < this.until) return;
    await setImmediate();
    this.until = performance.now() + BOUNDS.processSlice;
  }
}

/** One end of a TCP connection, and the user who opened it. */
export interface ConnectedSocket {
  readonly inode: string;
  readonly uid: number;
}

/** The sockets of these TCP connections, by their keys, without those that no process holds any more (they have no inode). */
export async function connectedSockets(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, ConnectedSocket>> {
  const slices = new Slices();
  const found = new Map<string, ConnectedSocket>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    if (found.size === keys.size) break; // for each table the kernel goes through all connections of the machine
    for (const line of (await readTable(file)).split('\n')) {
      await slices.pause();
      if (line.includes(WAITING)) continue;
      const [, local = '', remote = '', state, , , , uid, , inode = '0'] = line.trim().split(/\s+/);
      const key = `${short(local)} ${short(remote)}`;
      if (keys.has(key) && state !== LISTENING && inode !== '0') found.set(key, { inode, uid: Number(uid) });
    }
  }
  return found;
}

/** TIME_WAIT: connections that no process holds, often thousands. No other column is two digits with a zero before the other. */
const WAITING = ' 06 ';
const LISTENING = '0A';

/** Reads a table of /proc; that of IPv6 is empty on a machine without IPv6. */
async function readTable(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    if (file.endsWith('6') && (error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** The key of a peer in `connectedSockets`. */
export function peerKey({ address, port, localAddress, localPort }: Peer): string {
  return `${end(address, port)} ${end(localAddress, localPort)}`;
}

/** Shortens an IPv4-mapped IPv6 address to the IPv4 address. */
function short(end: string): string {
  return end.replace(MAPPED, '');
}

const LITTLE = endianness() === 'LE';
const MAPPED = new RegExp(`^0{16}${LITTLE ? 'FFFF0000' : '0000FFFF'}`);

function end(address: string, port: number): string {
  return `${short(wordsOf(address))}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** An address as the kernel prints it: words of 32 bits in the byte order of the machine. */
function wordsOf(address: string): string {
  const hex = Buffer.from(isIPv4(address) ? address.split('.').map(Number) : bytesOfIPv6(address)).toString('hex');
  const words = hex.match(/.{8}/g) ?? [];
  return words.map((word) => (LITTLE ? swapped(word) : word).toUpperCase()).join('');
}

function swapped(word: string): string {
  return Buffer.from(word, 'hex').reverse().toString('hex');
}

function bytesOfIPv6(address: string): number[] {
  const plain = address.replace(/%.*$/, '').replace(/[\d.]+\.[\d.]+$/, (four) => {
    const [a = 0, b = 0, c = 0, d = 0] = four.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<number>(zeros).fill(0), ...after].flatMap((group) => [group >> 8, group & 0xff]);
}

/** Every process that descends from `root`, or `undefined` if a parent ended during the search. */
export async function descendantsOf(root: number, slices: Slices): Promise<ReadonlySet<number> | undefined> {
  const children = new Map<number, number[]>();
  const seen = new Set<number>();
  const parents = new Set<number>();
  for (const pid of numbersIn('/proc')) {
    const parent = parentOf(pid);
    await slices.pause();
    if (parent === undefined) continue;
    seen.add(pid);
    parents.add(parent);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  // the kernel has given the children of a parent that ended to another process
  for (const parent of parents) if (parent !== 0 && !seen.has(parent)) return undefined;
  const found = new Set<number>();
  const open = [root];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop())
    for (const child of children.get(pid) ?? []) {
      found.add(child);
      open.push(child);
    }
  return found;
}

/** Whether a process descends from `root`; undefined if a process between the two ends meanwhile. */
export function descendsFrom(pid: number, root: number): boolean | undefined {
  let current: number | undefined = pid;
  for (let depth = 0; depth < BOUNDS.processDepth; depth++) {
    if (current === root) return true;
    if (current === undefined) return undefined;
    if (current <= 1) return false;
    current = parentOf(current);
  }
  return undefined;
}

/** The program's name, in parentheses, may hold anything, so the fields are counted from behind it. */
function parentOf(pid: number): number | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** What a search has found that processes hold open. */
export interface Holdings {
  /** Inodes of sockets. */
  readonly sockets: Set<string>;
  /** Whether something could not be seen: the descriptors of a process, or one that is in transit between processes. */
  hidden: boolean;
}

/** Searches the descriptors of every thread of a process, because threads may have tables of their own. */
export async function lookInto(pid: number, holdings: Holdings, slices: Slices): Promise<void> {
  for (const thread of numbersIn(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      await lookThrough(folder, holdings, slices);
    } catch (error) {
      if (!isDenied(error)) throw error;
      // the programs that set up the containment cannot be read either, but run no code of a server
      holdings.hidden ||= !hasEnded(folder) && !isOutsideNamespaces(pid);
    }
  }
}

/** Searches one table of descriptors. */
export async function lookThrough(folder: string, holdings: Holdings, slices: Slices): Promise<void> {
  for (const fd of namesIn(`${folder}/fd`)) {
    await slices.pause();
    const link = linkOf(`${folder}/fd/${fd}`) ?? '';
    const inode = socketOf(link);
    const known = inode === undefined ? link !== 'anon_inode:[io_uring]' : holdings.sockets.has(inode);
    if (inode !== undefined) holdings.sockets.add(inode);
    if (!known) holdings.hidden ||= carriesHidden(`${folder}/fdinfo/${fd}`);
  }
}

function socketOf(link: string): string | undefined {
  return /^socket:\[(\d+)\]$/.exec(link)?.[1];
}

function hasEnded(folder: string): boolean {
  const stat = textOf(`${folder}/stat`);
  return stat === undefined || /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

/** Whether a local socket carries descriptors that no process has received yet, or an io_uring holds some: they are in no table. */
function carriesHidden(file: string): boolean {
  const info = textOf(file) ?? '';
  return /^(scm_fds|UserFiles):\s*[1-9]/m.test(info);
}

/** Whether a process shares a PID namespace with one of the others; true if its namespace cannot be read. */
export function sharesNamespace(pid: number, others: Iterable<number>): boolean {
  const own = namespaceOf(pid);
  if (own === undefined) return true;
  for (const other of others) if (namespaceOf(other) === own) return true;
  return false;
}

function namespaceOf(pid: number): string | undefined {
  try {
    return linkOf(`/proc/${pid}/ns/pid`);
  } catch (error) {
    if (!isDenied(error)) throw error;
    return undefined;
  }
}

/** Whether a process is in the gateway's own PID namespace, in which no contained server is. */
export function isOutsideNamespaces(pid: number): boolean {
  const [, ids = ''] = /^NSpid:\s*(.*)$/m.exec(textOf(`/proc/${pid}/status`) ?? '') ?? [];
  const [, own = ''] = /^NSpid:\s*(.*)$/m.exec(textOf('/proc/self/status') ?? '') ?? [];
  return ids !== '' && ids.split(/\s+/).length === own.split(/\s+/).length;
}

export interface Search {
  /** Processes to search first; the newest follow. */
  readonly first: Iterable<number>;
  readonly slices: Slices;
}

export interface Holders {
  /** The first process that was found to hold each socket. */
  readonly found: ReadonlyMap<string, number>;
  /** The users of processes that the gateway may not read. */
  readonly unread: ReadonlySet<number>;
}

/** Looks for the process of each socket; skips processes that the gateway may not read. */
export async function holdersOf(wanted: ReadonlySet<string>, { first, slices }: Search): Promise<Holders> {
  const found = new Map<string, number>();
  const unread = new Set<number>();
  for (const pid of new Set([...first, ...numbersIn('/proc').sort((a, b) => b - a)])) {
    if (found.size === wanted.size) break;
    try {
      for (const fd of namesIn(`/proc/${pid}/fd`)) {
        await slices.pause();
        const inode = socketOf(linkOf(`/proc/${pid}/fd/${fd}`) ?? '');
        if (inode !== undefined && wanted.has(inode) && !found.has(inode)) found.set(inode, pid);
      }
    } catch (error) {
      if (!isDenied(error)) throw error;
      const [, uid] = /^Uid:\s+\d+\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`) ?? '') ?? [];
      if (uid !== undefined) unread.add(Number(uid));
    }
  }
  return { found, unread };
}

function numbersIn(folder: string): number[] {
  return namesIn(folder).map(Number).filter(Number.isInteger);
}

/** The names in a folder; none if the process has ended meanwhile. */
function namesIn(folder: string): string[] {
  return ifPresent(() => readdirSync(folder)) ?? [];
}

function linkOf(path: string): string | undefined {
  return ifPresent(() => readlinkSync(path));
}

function textOf(path: string): string | undefined {
  return ifPresent(() => readFileSync(path, 'latin1'));
}

function ifPresent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}
