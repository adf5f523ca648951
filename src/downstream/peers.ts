// Finds out whether a loopback connection comes from a server process of this gateway: once per connection, many connections per look-up.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
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

/** `contained`: the process is one of a server; `unproven`: the gateway cannot exclude that it is. */
type Verdict = 'outside' | 'contained' | 'unproven';

/** Why the gateway cannot tell clients from server processes on this machine. */
export class PeersUnknownError extends Error {
  override readonly name = 'PeersUnknownError';
}

interface Waiting {
  readonly key: string;
  readonly settle: (verdict: Verdict) => void;
}

/**
 * Every contained process descends from the gateway: in a PID namespace the kernel makes orphans children of the namespace's first process,
 * which is a child of the gateway. All connections that arrive during a look-up share the next look-up, so that a flood costs no more of them.
 */
export class Peers {
  private readonly verdicts = new WeakMap<Socket, Promise<Verdict>>();
  private readonly admitted = new WeakSet<Socket>();
  /** Whether the gateway has started a process; before that no connection can come from one. */
  private readonly startsProcesses: () => boolean;
  /** Processes outside of servers that held a connection lately. */
  private readonly clients = new BoundedMap<number, true>({ most: BOUNDS.rememberedClients });
  private waiting: Waiting[] = [];
  private running = false;

  /** Tries a look-up on a connection of its own. Throws PeersUnknownError if that fails. */
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

  /** Undefined if the connection is admitted already. The promise rejects with `forbidden_process`. */
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

  /** Runs look-ups one after another while connections wait; it pauses between two of them for as long as the first one took. */
  private async run(): Promise<void> {
    this.running = true;
    await delay(0);
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0);
      const startedAt = performance.now();
      const verdicts = await this.verdictsOf(new Set(batch.map(({ key }) => key))).catch(() => undefined);
      for (const { key, settle } of batch) settle(verdicts?.get(key) ?? 'unproven');
      if (this.waiting.length > 0) await delay(performance.now() - startedAt);
    }
    this.running = false;
  }

  private async verdictsOf(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, Verdict>> {
    const slices = new Slices();
    const searched = await this.searchAll(keys, slices);
    await searchInside(searched, slices);
    return searched.verdicts;
  }

  /** Looks for the process of each connection, first among the clients of earlier connections, then among the newest processes. */
  private async searchAll(keys: ReadonlySet<string>, slices: Slices): Promise<Searched> {
    const sockets = await connectedSockets(keys);
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
 * Whether a connection that no process shows can belong to a process of another user that the gateway may not read. A connection of the
 * gateway's own user can be a server's: when a process closes a descriptor while a thread reads from it, no table of descriptors shows it.
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
  /** Whether it can belong to a process that the gateway may not read. */
  readonly unread: boolean;
}

interface Searched {
  readonly verdicts: Map<string, Verdict>;
  readonly open: ReadonlyMap<string, Open>;
}

/** Whether a process is one of a server; tries again when a process between it and the gateway ends meanwhile. */
async function isInside(holder: number, slices: Slices): Promise<boolean | undefined> {
  if (holder === process.pid) return false;
  for (let round = 0; round < BOUNDS.processLookUps; round++) {
    const inside = descendsFrom(holder, process.pid);
    if (inside === undefined) continue;
    return inside || isOutsideNamespaces(holder) ? inside : isInNamespaceOfServers(holder, slices);
  }
  return undefined;
}

/**
 * Whether a process is in a server's namespace without being a descendant of the gateway: a server can make a sibling (CLONE_PARENT), which
 * stops being a descendant when the process that waits for the server ends.
 */
async function isInNamespaceOfServers(holder: number, slices: Slices): Promise<boolean | undefined> {
  const servers = await descendantsOf(process.pid, slices);
  return servers && sharesNamespace(holder, servers);
}

/** Looks for the remaining sockets in the processes of all servers; a socket of another user must be in none of them. */
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
  /** Whether the search saw every descriptor, and no process started meanwhile that it did not search. */
  readonly complete: boolean;
}

async function lookInside(slices: Slices): Promise<Inside> {
  const own: Holdings = { sockets: new Set(), hidden: false };
  const holdings: Holdings = { sockets: new Set(), hidden: false };
  const inside = new Set<number>();
  for (let round = 0; round < BOUNDS.processLookUps; round++) {
    const found = await descendantsOf(process.pid, slices);
    const fresh = [...(found ?? [])].filter((pid) => !inside.has(pid));
    if (found && fresh.length === 0) {
      // a descriptor that a server has sent to the gateway is in one of the gateway's sockets until it is read
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

/** Looks up a connection of the gateway's own, in the way that looks up that of a server. */
async function trial(): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const client = connect(port, '127.0.0.1');
    const [socket] = (await accepted) as [Socket];
    const address = '127.0.0.1';
    const key = peerKey({ address, port: socket.remotePort ?? 0, localAddress: address, localPort: port });
    const inode = (await connectedSockets(new Set([key]))).get(key)?.inode;
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
  for (let round = 0; round < BOUNDS.processLookUps; round++)
    if (await descendantsOf(process.pid, new Slices())) return true;
  return false;
}
