// The two ways in which the gateway is looked at: before a server, and as a client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixture, startGateway } from '../integration/harness/gateway.ts';
import { type RunningServer, startServer } from '../integration/harness/servers.ts';
import { startRenaming } from './renaming.ts';
import { type ClientWay, fixtureOf, type Revision, type ServerWay } from './runs.ts';
import { type Check, examine, examineClient, type Findings } from './suite.ts';

const NAME = 'fixture';
const DRIVER = join(import.meta.dirname, 'driver.ts');

interface ServerOptions {
  readonly revision: Revision;
  /** Whether the suite speaks with the server itself, without the gateway. */
  readonly direct: boolean;
}

/** Starts the server behind the gateway and gives what the suite finds when it speaks with it. */
export async function findOfServer(way: ServerWay, { revision, direct }: ServerOptions): Promise<Findings> {
  const { transport } = way;
  const server = fixtureOf(way, revision);
  if (transport === 'stdio') {
    await using pipe = await warmed(fixture(server, '--transport', 'stdio'));
    return await through(way, { revision, servers: { [NAME]: pipe.entry } });
  }
  const running = await startServer(server, '--transport', transport);
  try {
    if (direct) return await examine(running.url, revision);
    return await through(way, { revision, servers: { [NAME]: entry(running, transport) } });
  } finally {
    await running.stop();
  }
}

const entry = ({ url }: RunningServer, transport: string): object => ({
  url,
  ...(transport === 'sse' && { type: 'sse' }),
});

/**
 * Has the server run once, so that the processes that the gateway starts later find their code compiled: a parked call occupies
 * its process, the next one needs another, and the suite waits 500 ms for it.
 */
async function warmed({ command, args }: ReturnType<typeof fixture>): Promise<AsyncDisposable & { entry: object }> {
  const cache = mkdtempSync(join(tmpdir(), 'conformance-code-'));
  const env = { NODE_COMPILE_CACHE: cache };
  // its input is at the end from the beginning, which ends it
  await once(spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' }), 'exit');
  return {
    entry: { command, args, env },
    [Symbol.asyncDispose]: () => rm(cache, { recursive: true, force: true }),
  };
}

interface Behind {
  readonly revision: Revision;
  readonly servers: Readonly<Record<string, object>>;
}

async function through({ aggregate = false }: ServerWay, { revision, servers }: Behind): Promise<Findings> {
  if (aggregate) return await amongOthers({ revision, servers });
  const gateway = await startGateway({ config: { mcpServers: servers } });
  try {
    await gateway.attempted();
    return await examine(`${gateway.origin}/mcp/s/${NAME}`, revision);
  } finally {
    await gateway.stop();
  }
}

/** The aggregate has a server of every era and transport beside the fixture. */
async function amongOthers({ revision, servers }: Behind): Promise<Findings> {
  const modern = await startServer('modern-http.ts');
  const sse = await startServer('sdk-v1-server.ts', '--transport', 'sse', '--scheme', 'first');
  const others = {
    modern: entry(modern, 'http'),
    sse: entry(sse, 'sse'),
    pipe: fixture('echo-stdio.ts'),
    second: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'modern', '--scheme', 'second'),
  };
  const gateway = await startGateway({ config: { mcpServers: { ...servers, ...others } } });
  try {
    await gateway.attempted();
    await using renaming = await startRenaming({ target: gateway.url, prefix: `${NAME}__` });
    return await examine(renaming.url, revision);
  } finally {
    await gateway.stop();
    await Promise.all([modern.stop(), sse.stop()]);
  }
}

interface ClientOptions {
  readonly revision: Revision;
  readonly scenarios: readonly string[];
}

/** Gives what the suite's servers see of the gateway, a scenario after another, because one measures time. */
export async function findOfClient({ client }: ClientWay, { revision, scenarios }: ClientOptions): Promise<Findings> {
  const command = [process.execPath, DRIVER].map((part) => JSON.stringify(part)).join(' ') + ` --client ${client}`;
  const findings = new Map<string, readonly Check[]>();
  for (const scenario of scenarios) findings.set(scenario, await examineClient({ scenario, revision, command }));
  return findings;
}
