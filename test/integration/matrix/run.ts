// Runs the matrix: every server behind one gateway, every kind of client at every server, every feature in every cell.
import { fixture, type RunningGateway, openGateway } from '../harness/gateway.ts';
import type { Place } from '../harness/clients.ts';
import { type RunningServer, startServer } from '../harness/servers.ts';
import { CLIENT_LANES, type ClientLane, fixtureOf, SERVER_LANES, type ServerLane } from './cells.ts';
import { connectMatrixClient } from './client.ts';
import { type Feature, FEATURES, type ServerView } from './features.ts';
import { bounded } from './heard.ts';

/** What came of one cell: for every feature nothing, or why it does not work. */
export interface Cell {
  readonly client: ClientLane;
  readonly server: ServerLane;
  readonly failures: Readonly<Record<string, string | undefined>>;
}

interface MatrixOptions {
  readonly features?: Readonly<Record<string, Feature>>;
  /** How many servers are used beside each other. */
  readonly beside?: number;
}

/** Runs all cells: servers beside each other, the clients of one server one after another. */
export async function runMatrix({ features = FEATURES, beside = Infinity }: MatrixOptions = {}): Promise<Cell[]> {
  const servers = await Promise.all(SERVER_LANES.map(startLane));
  const gateway = await openGateway({
    config: { mcpServers: Object.fromEntries(servers.map(({ lane, entry }) => [lane.name, entry])) },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();
  const alone = oneAtATime();
  const waiting = SERVER_LANES.map((server) => async () => {
    const done: Cell[] = [];
    for (const client of CLIENT_LANES) done.push(await runCell({ gateway, client, server, features, alone }));
    return done;
  });
  const cells: Cell[][] = [];
  while (waiting.length > 0) cells.push(...(await Promise.all(waiting.splice(0, beside).map((runLane) => runLane()))));
  await gateway.stop();
  await Promise.all(servers.flatMap(({ running }) => (running ? [running.stop()] : [])));
  return cells.flat();
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

interface CellRun extends Pick<Cell, 'client' | 'server'>, Pick<ServerView, 'alone'> {
  readonly gateway: RunningGateway;
  readonly features: Readonly<Record<string, Feature>>;
}

async function runCell({ gateway, client: lane, server, features, alone }: CellRun): Promise<Cell> {
  const view: ServerView = {
    exposed: (name) => (lane.transport === 'stdio' ? `${server.name}__${name}` : name),
    uri: (path) => `${server.name}://${path}`,
    alone,
  };
  const failures: Record<string, string | undefined> = {};
  const connected = await connectMatrixClient(lane.kind, placeOf(gateway, lane, server)).catch(reasonOf);
  for (const [name, feature] of Object.entries(features)) {
    failures[name] =
      typeof connected === 'string'
        ? `cannot connect: ${connected}`
        : await bounded(feature(connected, view), 'the end').then(() => undefined, reasonOf);
  }
  if (typeof connected !== 'string') await connected.close();
  return { client: lane, server, failures };
}

/** Over HTTP a client uses one server alone; `mcp-gateway stdio` shows all. */
function placeOf(gateway: RunningGateway, { transport }: ClientLane, { name }: ServerLane): Place {
  if (transport === 'stdio') return { config: gateway.config, state: gateway.state };
  const url = `${gateway.origin}/mcp/s/${name}`;
  return transport === 'HTTP+SSE' ? { url: `${url}/sse` } : { url };
}

function reasonOf(error: unknown): string {
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
