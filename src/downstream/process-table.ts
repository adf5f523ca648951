// What /proc tells of processes and of the TCP connections of this machine, read in slices that hold up nobody.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import { setImmediate } from 'node:timers/promises';

/** The client's side of a connection of which we hold the other one. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** So long the event loop is held at a time. */
const SLICE_MS = 1;

/** Reads /proc a little at a time: `pause` gives way to other work where a slice is used up. */
export class Slices {
  private until = performance.now() + SLICE_MS;

  async pause(): Promise<void> {
    if (performance.now() < this.until) return;
    await setImmediate();
    this.until = performance.now() + SLICE_MS;
  }
}

/** One end of a TCP connection, and the user who made it. */
export interface ConnectedSocket {
  readonly inode: string;
  readonly uid: number;
}

/** The sockets of all TCP connections by who is at their ends; one without an inode has no process any more, and is left out. */
export async function connectedSockets(): Promise<ReadonlyMap<string, ConnectedSocket>> {
  const texts = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readTable(file)));
  const slices = new Slices();
  const found = new Map<string, ConnectedSocket>();
  for (const line of texts.join('\n').split('\n')) {
    const [, local = '', remote = '', state, , , , uid, , inode = '0'] = line.trim().split(/\s+/);
    if (state !== undefined && state !== LISTENING && inode !== '0')
      found.set(`${short(local)} ${short(remote)}`, { inode, uid: Number(uid) });
    await slices.pause();
  }
  return found;
}

const LISTENING = '0A';

/** A machine without IPv6 has no table of it. */
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

/** An IPv4 address reached through an IPv6 socket is the same address. */
function short(end: string): string {
  return end.replace(MAPPED, '');
}

const LITTLE = endianness() === 'LE';
const MAPPED = new RegExp(`^0{16}${LITTLE ? 'FFFF0000' : '0000FFFF'}`);

function end(address: string, port: number): string {
  return `${short(wordsOf(address))}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** An address as the kernel prints it: words of 32 bits in the order of the machine. */
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

/** Every process that descends from another one, or `undefined` where parents ended while it was looked. */
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
  // the child of one that has just ended belongs to another one by now
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

/** So deep no process descends from another. */
const DEEPEST = 10_000;

/** Whether a process descends from another one; undefined where one of those between ends meanwhile. */
export function descendsFrom(pid: number, root: number): boolean | undefined {
  let current: number | undefined = pid;
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (current === root) return true;
    if (current === undefined) return undefined;
    if (current <= 1) return false;
    current = parentOf(current);
  }
  return undefined;
}

/** The name of a program may hold anything, so the fields are counted from its end. */
function parentOf(pid: number): number | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** What processes hold open, as far as it was looked. */
export interface Holdings {
  /** Inodes of sockets. */
  readonly sockets: Set<string>;
  /** Something could not be seen: a process hides from others of its user, or a descriptor is on its way. */
  hidden: boolean;
}

/** Looks through the descriptors of every thread of a process: threads may have tables of their own. */
export async function lookInto(pid: number, holdings: Holdings, slices: Slices): Promise<void> {
  for (const thread of numbersIn(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      await lookThrough(folder, holdings, slices);
    } catch (error) {
      if (!isDenied(error)) throw error;
      // the programs that open the containment cannot be read either, but nothing of a server runs in them
      holdings.hidden ||= !hasEnded(folder) && !isOutsideNamespaces(pid);
    }
  }
}

/** Looks through one table of descriptors. */
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

/** Descriptors that a local socket carries and nobody has taken yet, or that a ring holds, are in no table. */
function carriesHidden(file: string): boolean {
  const info = textOf(file) ?? '';
  return /^(scm_fds|UserFiles):\s*[1-9]/m.test(info);
}

/** Whether a process is in one of the namespaces that these are in. Where it cannot be told, it may be. */
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

/** Whether a process is in the process namespace of this one, in which no contained server is. */
export function isOutsideNamespaces(pid: number): boolean {
  const [, ids = ''] = /^NSpid:\s*(.*)$/m.exec(textOf(`/proc/${pid}/status`) ?? '') ?? [];
  const [, own = ''] = /^NSpid:\s*(.*)$/m.exec(textOf('/proc/self/status') ?? '') ?? [];
  return ids !== '' && ids.split(/\s+/).length === own.split(/\s+/).length;
}

export interface Search {
  /** Processes to look at first; after them the newest. */
  readonly first: Iterable<number>;
  readonly slices: Slices;
}

export interface Holders {
  /** A process that holds each of the sockets, the first that is found. */
  readonly found: ReadonlyMap<string, number>;
  /** The users of processes that may not be read. */
  readonly unread: ReadonlySet<number>;
}

/** Looks for the process of each socket, passing over those that may not be read. */
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

/** Empty where the process has ended meanwhile. */
function namesIn(folder: string): string[] {
  return unlessGone(() => readdirSync(folder)) ?? [];
}

function linkOf(path: string): string | undefined {
  return unlessGone(() => readlinkSync(path));
}

function textOf(path: string): string | undefined {
  return unlessGone(() => readFileSync(path, 'latin1'));
}

function unlessGone<T>(read: () => T): T | undefined {
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
