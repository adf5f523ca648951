// Finds out whether a loopback connection comes from a server process of this gateway: once for each connection, many in one look-up.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { BoundedMap } from '../core/bounded-map.ts';
import { GatewayError, reasonOf } from '../core/errors.ts';
import {
  type ConnectedSocket,
  connectedSockets,
  descendantsOf,
  descendsFrom,
  holdersOf,
  isOutsideNamespaces,
  type Holdings,
  lookInto,
  lookThrough,
  peerKey,
  sharesNamespace,
  Slices,
} from './process-table.ts';

/** `contained`: a process that this gateway started; `unproven`: it could be one, and cannot be shown to be another. */
type Verdict = 'outside' | 'contained' | 'unproven';

/** Most processes that are remembered as clients: a look-up begins with them. */
const MAX_CLIENTS = 64;

/** Rounds of one look-up, each for the processes that were started during the round before. A server that goes on forking is not waited for. */
const ROUNDS = 5;

/** Why a machine's processes cannot be told apart. */
export class PeersUnknownError extends Error {
  override readonly name = 'PeersUnknownError';
}

interface Waiting {
  readonly key: string;
  readonly settle: (verdict: Verdict) => void;
}

/**
 * Every contained process descends from this one: in a process namespace the orphans become children of its first process, which is a child
 * of ours. All connections that come during a look-up share the next one, so that a flood of them costs no more look-ups.
 */
export class Peers {
  private readonly verdicts = new WeakMap<Socket, Promise<Verdict>>();
  private readonly admitted = new WeakSet<Socket>();
  /** While no server has ever been started, no connection comes from one. */
  private readonly startsProcesses: () => boolean;
  /** Processes that are no servers and held a connection lately. */
  private readonly clients = new BoundedMap<number, true>({ most: MAX_CLIENTS });
  private waiting: Waiting[] = [];
  private running = false;

  /** Tries it on a connection of our own. Throws PeersUnknownError where it does not work. */
  static async open(startsProcesses: () => boolean): Promise<Peers> {
    if (process.platform !== 'linux') throw new PeersUnknownError('this is found out on Linux alone');
    try {
      await trial();
    } catch (error) {
      throw new PeersUnknownError(reasonOf(error), { cause: error });
    }
    return new Peers(startsProcesses);
  }

  private constructor(startsProcesses: () => boolean) {
    this.startsProcesses = startsProcesses;
  }

  /** Undefined where the connection was admitted before. The promise rejects with `forbidden_process`. */
  admit(socket: Socket): Promise<void> | undefined {
    if (this.admitted.has(socket)) return undefined;
    if (this.startsProcesses()) return this.examine(socket);
    this.admitted.add(socket);
    return undefined;
  }

  private async examine(socket: Socket): Promise<void> {
    let verdict = this.verdicts.get(socket);
    if (!verdict) this.verdicts.set(socket, (verdict = this.lookUp(socket)));
    const found = await verdict;
    if (found !== 'outside') throw new GatewayError('forbidden_process', REFUSALS[found]);
    this.admitted.add(socket);
  }

  private lookUp({ remoteAddress, remotePort, localAddress, localPort }: Socket): Promise<Verdict> {
    if (remoteAddress === undefined || remotePort === undefined) return Promise.resolve('unproven');
    const key = peerKey({
      address: remoteAddress,
      port: remotePort,
      localAddress: localAddress ?? '',
      localPort: localPort ?? 0,
    });
    return new Promise((settle) => {
      this.waiting.push({ key, settle });
      if (!this.running) void this.run();
    });
  }

  /** Look-ups one after the other, with as long a rest between them, as long as there is somebody to look up. */
  private async run(): Promise<void> {
    this.running = true;
    await delay(0);
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0);
      const began = performance.now();
      const verdicts = await this.verdictsOf(new Set(batch.map(({ key }) => key))).catch(() => undefined);
      for (const { key, settle } of batch) settle(verdicts?.get(key) ?? 'unproven');
      if (this.waiting.length > 0) await delay(performance.now() - began);
    }
    this.running = false;
  }

  private async verdictsOf(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, Verdict>> {
    const slices = new Slices();
    const searched = await this.searchAll(keys, slices);
    await searchInside(searched, slices);
    return searched.verdicts;
  }

  /** Looks for the process of each connection, which is found soon where it is that of an earlier one, or a new one. */
  private async searchAll(keys: ReadonlySet<string>, slices: Slices): Promise<Searched> {
    const sockets = await connectedSockets();
    const wanted = new Set([...keys].flatMap((key) => sockets.get(key)?.inode ?? []));
    const { found, unread } = await holdersOf(wanted, { first: this.clients.keys(), slices });
    const verdicts = new Map<string, Verdict>();
    const open = new Map<string, Open>();
    for (const key of keys) {
      const socket = sockets.get(key);
      const holder = socket && found.get(socket.inode);
      const inside = holder === undefined ? undefined : await isInside(holder, slices);
      if (socket === undefined) verdicts.set(key, 'unproven');
      else if (holder === undefined || inside === undefined)
        open.set(key, { inode: socket.inode, unread: mayBeUnread(socket, unread) });
      else verdicts.set(key, inside ? 'contained' : this.remember(holder));
    }
    return { verdicts, open };
  }

  private remember(client: number): 'outside' {
    this.clients.set(client, true);
    return 'outside';
  }
}

/**
 * A connection that no process shows is another's only where processes of its user may not be read, and that user is not ours: a server
 * keeps one in no table of descriptors when it closes the descriptor while a thread still reads from it.
 */
function mayBeUnread({ uid }: ConnectedSocket, unread: ReadonlySet<number>): boolean {
  return uid !== process.geteuid?.() && unread.has(uid);
}

const HOW = 'Give the caller a token of its own under auth.tokens.';
const REFUSALS = {
  contained: `This connection comes from a process of a server behind this gateway, which may not act as its clients do. ${HOW}`,
  unproven: `The gateway could not find out whose connection this is (it was closed too early, or its process is hidden), and one of its servers may not act as its clients do. Keep the connection open until the answer has come. ${HOW}`,
} as const;

/** A socket whose process was not found. */
interface Open {
  readonly inode: string;
  /** It can be that of a process which may not be read. */
  readonly unread: boolean;
}

interface Searched {
  readonly verdicts: Map<string, Verdict>;
  readonly open: ReadonlyMap<string, Open>;
}

/** Whether a process is one of a server; asked again where a process between the two ends meanwhile. */
async function isInside(holder: number, slices: Slices): Promise<boolean | undefined> {
  if (holder === process.pid) return false;
  for (let round = 0; round < ROUNDS; round++) {
    const inside = descendsFrom(holder, process.pid);
    if (inside === undefined) continue;
    return inside || isOutsideNamespaces(holder) ? inside : isInNamespaceOfServers(holder, slices);
  }
  return undefined;
}

/**
 * Whether a process is in a namespace of servers without being a descendant: one that a server made beside itself (CLONE_PARENT) belongs to
 * nobody of ours from the moment that what waits for the server has ended.
 */
async function isInNamespaceOfServers(holder: number, slices: Slices): Promise<boolean | undefined> {
  const servers = await descendantsOf(process.pid, slices);
  return servers && sharesNamespace(holder, servers);
}

/** Looks through all servers for sockets whose process was not found: those of another user are in none of them. */
async function searchInside({ verdicts, open }: Searched, slices: Slices): Promise<void> {
  if (open.size === 0) return;
  const { holdings, complete } = await lookInside(slices);
  for (const [key, { inode, unread }] of open) {
    if (holdings.sockets.has(inode)) verdicts.set(key, 'contained');
    else verdicts.set(key, complete && unread ? 'outside' : 'unproven');
  }
}

interface Inside {
  readonly holdings: Holdings;
  /** Everything was seen, and no process came into being meanwhile that could hold something by now. */
  readonly complete: boolean;
}

async function lookInside(slices: Slices): Promise<Inside> {
  const own: Holdings = { sockets: new Set(), hidden: false };
  const holdings: Holdings = { sockets: new Set(), hidden: false };
  const inside = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const found = await descendantsOf(process.pid, slices);
    const fresh = [...(found ?? [])].filter((pid) => !inside.has(pid));
    if (found && fresh.length === 0) {
      // a descriptor that a server sent us lies in a socket of ours until it is read
      await lookThrough('/proc/self', own, slices);
      return { holdings, complete: !holdings.hidden && !own.hidden };
    }
    for (const pid of fresh) {
      inside.add(pid);
      await lookInto(pid, holdings, slices);
    }
  }
  return { holdings, complete: false };
}

/** Looks for a connection of our own where it would be looked for that of a server. */
async function trial(): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const client = connect(port, '127.0.0.1');
    const [socket] = (await accepted) as [Socket];
    const address = { address: '127.0.0.1', port: socket.remotePort ?? 0, localAddress: '127.0.0.1', localPort: port };
    const inode = (await connectedSockets()).get(peerKey(address))?.inode;
    const own: Holdings = { sockets: new Set(), hidden: false };
    await lookThrough('/proc/self', own, new Slices());
    client.destroy();
    socket.destroy();
    if (inode === undefined || !own.sockets.has(inode)) throw new Error('/proc does not tell whose a connection is');
    if (!(await listsProcesses())) throw new Error('/proc does not tell all processes (hidepid)');
  } finally {
    server.close();
  }
}

async function listsProcesses(): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round++) if (await descendantsOf(process.pid, new Slices())) return true;
  return false;
}
