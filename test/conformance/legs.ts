// The two ways in which the gateway is looked at: before a server, and as a client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fixture, type RunningGateway, startGateway } from '../integration/harness/gateway.ts';
import { type RunningServer, startServer } from '../integration/harness/servers.ts';
import { type Pass, takeCourse } from './course.ts';
import { startPipeFront } from './pipe-front.ts';
import { wrongRecords } from './records.ts';
import { startRenaming } from './renaming.ts';
import { type ClientWay, type Course, fixtureOf, type Revision, type ServerWay } from './runs.ts';
import { type Check, examineClient, type Findings } from './suite.ts';

const NAME = 'fixture';
const DRIVER = join(import.meta.dirname, 'driver.ts');

interface ServerOptions {
  readonly course: Course;
  /** Whether the suite speaks with the server itself, without the gateway. */
  readonly direct: boolean;
}

/** What came of one gateway. */
export interface Found {
  readonly passes: readonly Pass[];
  /** What is wrong with the log, a line each. */
  readonly records: readonly string[];
}

/** Starts the server behind the gateway and gives what the suite finds when it speaks with it. */
export async function findOfServer(way: ServerWay, { course, direct }: ServerOptions): Promise<Found> {
  const { transport } = way;
  const server = fixtureOf(way, course[0][0]);
  if (transport === 'stdio') {
    const pipe = fixture(server, '--transport', 'stdio');
    await warm(pipe);
    if (!direct) return await through(way, { course, servers: { [NAME]: pipe } });
    await using front = await startPipeFront(pipe);
    return { passes: await takeCourse(front.url, course), records: [] };
  }
  const running = await startServer(server, '--transport', transport);
  try {
    if (direct) return { passes: await takeCourse(running.url, course), records: [] };
    return await through(way, { course, servers: { [NAME]: entry(running, transport) } });
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
async function warm({ command, args, env }: ReturnType<typeof fixture>): Promise<void> {
  // its input is at the end from the beginning, which ends it
  await once(spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' }), 'exit');
}

interface Behind {
  readonly course: Course;
  readonly servers: Readonly<Record<string, object>>;
}

async function through(way: ServerWay, { course, servers }: Behind): Promise<Found> {
  if (way.aggregate) return await amongOthers(way, { course, servers });
  return await atGateway(way, servers, ({ origin }) => takeCourse(`${origin}/mcp/s/${NAME}`, course));
}

/** Starts a gateway for what the suite does there; the log is looked at where the server speaks both eras. */
async function atGateway(
  way: ServerWay,
  mcpServers: object,
  take: (gateway: RunningGateway) => Promise<Pass[]>,
): Promise<Found> {
  const gateway = await startGateway({ config: { mcpServers } });
  try {
    await gateway.attempted();
    const passes = await take(gateway);
    return { passes, records: way.first === undefined ? [] : await wrongRecords(gateway, NAME) };
  } finally {
    await gateway.stop();
  }
}

/** The aggregate has a server of every era and transport beside the fixture. */
async function amongOthers(way: ServerWay, { course, servers }: Behind): Promise<Found> {
  const modern = await startServer('modern-http.ts');
  const sse = await startServer('sdk-v1-server.ts', '--transport', 'sse', '--scheme', 'first');
  const others = {
    modern: entry(modern, 'http'),
    sse: entry(sse, 'sse'),
    pipe: fixture('echo-stdio.ts'),
    second: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'modern', '--scheme', 'second'),
  };
  try {
    return await atGateway(way, { ...servers, ...others }, async ({ url }) => {
      await using renaming = await startRenaming({ target: url, prefix: `${NAME}__` });
      return await takeCourse(renaming.url, course);
    });
  } finally {
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
