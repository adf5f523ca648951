// Tries every client with a foreign server twice, over each transport: directly, and through a gateway.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLIENTS, type Command, type Place } from '../../integration/harness/clients.ts';
import { type GatewayProcess, startGateway } from '../../integration/harness/gateway.ts';
import { startCommand } from '../../integration/harness/servers.ts';
import { connectMatrixClient, type MatrixClient } from '../../integration/matrix/client.ts';
import type { ServerView } from '../../integration/matrix/features.ts';
import { failuresOf, reasonOf } from '../../integration/matrix/run.ts';
import { FEATURES } from './features.ts';
import { install, type ServerName } from './install.ts';
import { connectPython } from './python-client.ts';

type Transport = 'stdio' | 'Streamable HTTP';

/** By feature, why it does not work. */
type Failures = Readonly<Record<string, string | undefined>>;

/** What came of one client with one server over one transport. */
export interface ForeignCell {
  readonly server: ServerName;
  readonly transport: Transport;
  readonly client: string;
  readonly directly: Failures;
  readonly through: Failures;
}

interface Client {
  readonly name: string;
  connect(place: Place): Promise<MatrixClient>;
}

/** A server over one transport. */
interface Lane {
  readonly server: ServerName;
  readonly transport: Transport;
  /** Its name behind the gateway, and the scheme of its resources. */
  readonly name: string;
  readonly place: Command | { readonly url: string };
}

/** Runs all cells of a server. */
export async function runServer(server: ServerName): Promise<ForeignCell[]> {
  const marks = mkdtempSync(join(tmpdir(), 'foreign-marks-'));
  const [command, clients] = await Promise.all([install(server), allClients()]);
  const started = (transport: string, name: string): Command => ({
    command: command.command,
    args: [...command.args, '--transport', transport, '--scheme', name, '--marks', marks],
  });
  const running = await startCommand(started('http', `${server}-http`));
  const lanes: Lane[] = [
    { server, transport: 'stdio', name: `${server}-stdio`, place: started('stdio', `${server}-stdio`) },
    { server, transport: 'Streamable HTTP', name: `${server}-http`, place: { url: running.url } },
  ];
  // a process of its own: a gateway in this one takes Python's clients for servers of its own, and refuses them
  const gateway = await startGateway({
    config: { mcpServers: Object.fromEntries(lanes.map(({ name, place }) => [name, place])) },
    args: ['--log-level', 'warn'],
  });
  await gateway.attempted();
  const cells = await Promise.all(lanes.map((lane) => runLane(lane, gateway, clients)));
  await gateway.stop();
  await running.stop();
  rmSync(marks, { recursive: true });
  return cells.flat();
}

async function allClients(): Promise<Client[]> {
  const [first, second] = [await install('python-1'), await install('python-2')];
  const python = (name: string, { command }: Command, modern: boolean): Client => ({
    name,
    connect: (place) => connectPython({ python: command, modern }, place),
  });
  return [
    ...CLIENTS.map((kind): Client => ({
      name: kind,
      connect: (place) => connectMatrixClient(kind, place, { needsStream: false }),
    })),
    python('Python 1', first, false),
    python('Python 2 legacy', second, false),
    python('Python 2 modern', second, true),
  ];
}

async function runLane(lane: Lane, gateway: GatewayProcess, clients: readonly Client[]): Promise<ForeignCell[]> {
  const { server, transport, name, place } = lane;
  const cells: ForeignCell[] = [];
  for (const client of clients) {
    const directly = await tried(client, place, viewOf(name, ''));
    const onPipe = transport === 'stdio';
    const there = onPipe
      ? { config: gateway.config, state: gateway.state }
      : { url: `${gateway.origin}/mcp/s/${name}` };
    const through = await tried(client, there, viewOf(name, onPipe ? `${name}__` : ''));
    cells.push({ server, transport, client: client.name, directly, through });
  }
  return cells;
}

/** Of a pipe to the gateway the names have a prefix, because all servers are there. */
function viewOf(scheme: string, prefix: string): ServerView {
  return { exposed: (own) => prefix + own, uri: (path) => `${scheme}://${path}`, alone: (work) => work() };
}

async function tried(client: Client, place: Place, view: ServerView): Promise<Failures> {
  const connected = await client.connect(place).catch(reasonOf);
  const failures = await failuresOf(FEATURES, connected, view);
  if (typeof connected !== 'string') await connected.close();
  return failures;
}
