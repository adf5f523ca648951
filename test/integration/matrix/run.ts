// Runs the matrix: every server behind one gateway, every kind of client at every server, every feature in every cell.
import { fixture, type RunningGateway, openGateway } from '../harness/gateway.ts';
import type { Place } from '../harness/clients.ts';
import { type RunningServer, startServer } from '../harness/servers.ts';
import { CLIENT_LANES, type ClientLane, fixtureOf, SERVER_LANES, type ServerLane } from './cells.ts';
import { connectMatrixClient, type MatrixClient } from './client.ts';
import { type Feature, FEATURES, type ServerView } from './features.ts';
import { unhurried } from './heard.ts';

/** What came of one cell: for every feature nothing, or why it does not work. */
export interface Cell {
  readonly client: ClientLane;
  readonly server: ServerLane;
  readonly failures: Readonly<Record<string, string | undefined>>;
}

interface MatrixOptions {
  readonly features?: Readonly<Record<string, Feature>>;
  /** How many servers are used beside each other: with more, each step of a cell waits longer for a core. */
  readonly beside?: number;
}

/** Runs all cells: servers beside each other, the clients of one server one after another. */
export async function runMatrix({ features = FEATURES, beside = 4 }: MatrixOptions = {}): Promise<Cell[]> {
  const servers = await Promise.all(SERVER_LANES.map(startLane));
  const gateway = await openGateway({
    config: { mcpServers: Object.fromEntries(servers.map(({ lane, entry }) => [lane.name, entry])) },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();
  const pipes = new Map(CLIENT_LANES.filter(onPipe).map((lane) => [lane, shared(gateway, lane)]));
  const run = { gateway, features, pipes, alone: oneAtATime() };
  const waiting = SERVER_LANES.map((server, at) => () => runRow(run, server, at));
  const cells: Cell[] = [];
  const work = async () => {
    for (let row = waiting.shift(); row; row = waiting.shift()) cells.push(...(await row()));
  };
  await Promise.all(Array.from({ length: beside }, work));
  await Promise.all(Array.from(pipes.values(), (pipe) => pipe.close()));
  await gateway.stop();
  await Promise.all(servers.flatMap(({ running }) => (running ? [running.stop()] : [])));
  return SERVER_LANES.flatMap((server) => CLIENT_LANES.map((client) => cellOf(cells, client, server)));
}

function cellOf(cells: readonly Cell[], client: ClientLane, server: ServerLane): Cell {
  const found = cells.find((cell) => cell.client === client && cell.server === server);
  if (!found) throw new Error(`no cell of ${client.kind} over ${client.transport} with ${server.name} was run`);
  return found;
}

/** A client, or why it could not connect. */
export type Connected = MatrixClient | string;

/** What all cells have in common. */
interface Run extends Pick<ServerView, 'alone'> {
  readonly gateway: RunningGateway;
  readonly features: Readonly<Record<string, Feature>>;
  readonly pipes: ReadonlyMap<ClientLane, Shared>;
}

const onPipe = ({ transport }: ClientLane) => transport === 'stdio';

/** The one client of its kind on a pipe: `mcp-gateway stdio` shows all servers, and is a process, so that its cells take turns at it. */
interface Shared {
  use<T>(work: (client: Connected) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

function shared(gateway: RunningGateway, lane: ClientLane): Shared {
  const turn = oneAtATime();
  const connecting = connectMatrixClient(lane.kind, { config: gateway.config, state: gateway.state }).catch(reasonOf);
  return {
    use: (work) => turn(async () => work(await connecting)),
    close: async () => close(await connecting),
  };
}

async function close(client: Connected): Promise<void> {
  if (typeof client !== 'string') await client.close();
}

/** Runs the cells of a server; each server begins with another client, so that few wait for the same. */
async function runRow(run: Run, server: ServerLane, at: number): Promise<Cell[]> {
  const cells: Cell[] = [];
  const [first, then] = [CLIENT_LANES.slice(0, at), CLIENT_LANES.slice(at)];
  for (const client of [...then, ...first])
    cells.push({ client, server, failures: await runCell(run, client, server) });
  return cells;
}

async function runCell(run: Run, client: ClientLane, server: ServerLane): Promise<Cell['failures']> {
  const view: ServerView = {
    exposed: (name) => (onPipe(client) ? `${server.name}__${name}` : name),
    uri: (path) => `${server.name}://${path}`,
    alone: run.alone,
  };
  const pipe = run.pipes.get(client);
  if (pipe) return pipe.use((connected) => failuresOf(run.features, connected, view));
  const connected = await connectMatrixClient(client.kind, placeOf(run.gateway, client, server)).catch(reasonOf);
  const failures = await failuresOf(run.features, connected, view);
  await close(connected);
  return failures;
}

/** Tries every feature. */
export async function failuresOf(
  features: Run['features'],
  client: Connected,
  view: ServerView,
): Promise<Cell['failures']> {
  const failures: Record<string, string | undefined> = {};
  if (typeof client !== 'string') client.heard.clear();
  for (const [name, feature] of Object.entries(features)) {
    failures[name] =
      typeof client === 'string'
        ? `cannot connect: ${client}`
        : await unhurried(feature(client, view), 'the end').then(() => undefined, reasonOf);
  }
  return failures;
}

/** Over HTTP a client uses one server alone. */
function placeOf({ origin }: RunningGateway, { transport }: ClientLane, { name }: ServerLane): Place {
  const url = `${origin}/mcp/s/${name}`;
  return transport === 'HTTP+SSE' ? { url: `${url}/sse` } : { url };
}

interface StartedLane {
  readonly lane: ServerLane;
  /** As it stands in the configuration. */
  readonly entry: object;
  readonly running?: RunningServer;
}

async function startLane(lane: ServerLane): Promise<StartedLane> {
  const [name, ...args] = fixtureOf(lane);
  if (lane.transport === 'stdio') return { lane, entry: fixture(name, ...args) };
  const running = await startServer(name, ...args);
  const type = lane.transport === 'HTTP+SSE' ? { type: 'sse' } : {};
  return { lane, entry: { ...type, url: running.url }, running };
}

/** Why something failed, on one line. */
export function reasonOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .replaceAll('\n', ' ')
    .slice(0, 300);
}

function oneAtATime(): ServerView['alone'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const run = last.then(work);
    last = run.catch(() => undefined);
    return run;
  };
}
