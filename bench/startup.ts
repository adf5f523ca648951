// How long the built command takes from exec until it listens, beside `node -e 0`, and with servers that are all dead.
import { type Entry, startGateway } from './gateway.ts';
import { runToEnd } from './process.ts';
import { median } from './rounds.ts';

const DEAD = 50;

/** Medians in milliseconds. */
export interface Startup {
  /** `node -e 0`, from spawn to exit. */
  readonly node: number;
  /** The gateway without servers, from spawn until it says its URL. */
  readonly none: number;
  /** The same with 50 servers that cannot be reached or started. */
  readonly dead: number;
}

/** Half refuse the connection, half name a program that does not exist. */
function deadServers(): Record<string, Entry> {
  const entry = (index: number): Entry =>
    index % 2 === 0 ? { url: 'http://127.0.0.1:1/mcp' } : { command: '/nonexistent/server', args: [] };
  return Object.fromEntries(Array.from({ length: DEAD }, (_, index) => [`dead${index}`, entry(index)]));
}

async function once(bin: string, servers: Readonly<Record<string, Entry>>): Promise<number> {
  await using gateway = await startGateway(bin, servers);
  return gateway.startedIn;
}

/** Starts each in turn that many times, every gateway with a new state. */
export async function measureStartup(bin: string, times: number): Promise<Startup> {
  const node: number[] = [];
  const none: number[] = [];
  const dead: number[] = [];
  const servers = deadServers();
  for (let time = 0; time < times; time += 1) {
    node.push((await runToEnd(['-e', '0'])).milliseconds);
    none.push(await once(bin, {}));
    dead.push(await once(bin, servers));
  }
  return { node: median(node), none: median(none), dead: median(dead) };
}
