// What is measured: the contenders with the same call, and the gateway's other lanes.
import { REQUESTS_PER_ASKED } from './asked.ts';
import type { Kind } from './exchange.ts';
import { type AuditCount, auditOf, type Entry, type Gateway, startGateway, untilListed } from './gateway.ts';
import { launch, path, type Running } from './process.ts';
import { compete, type Contender, Load, type Plan, type Series } from './rounds.ts';
import type { Bound } from './report.ts';

/** What a part of the benchmark found. */
export interface Found {
  readonly series: readonly Series[];
  readonly bounds: readonly Bound[];
}

const LISTED_SERVERS = 20;
const LISTED_TOOLS = 25;

/** An idle gateway has no call to wait for: this is generous. */
const STOP_LIMIT_MS = 5_000;

function afterwards(where: string, calls: number, audit: AuditCount): Bound[] {
  const { intents, outcomes, whole, verified, stopped } = audit;
  const chain = verified ? 'the chain verifies' : 'the chain does NOT verify';
  return [
    {
      what: `Audit log of the ${where}: one intent and one outcome for each call made (${calls}), chain unbroken`,
      figure: `${intents} intents, ${outcomes} outcomes, ${whole} whole, ${chain}`,
      met: verified && [intents, outcomes, whole].every((count) => count === calls),
    },
    {
      what: `The idle gateway of the ${where} ends on SIGTERM within ${STOP_LIMIT_MS / 1_000} s`,
      figure: `${stopped.toFixed(0)} ms`,
      met: stopped <= STOP_LIMIT_MS,
    },
  ];
}

async function countOf(upstream: Running): Promise<number> {
  return Number(await (await fetch(new URL('/count', upstream.url))).text());
}

/** Runs with a gateway over the entries, and afterwards compares its log with the calls that were made. */
async function withGateway(
  options: { bin: string; where: string; servers: Record<string, Entry>; tools: number | readonly string[] },
  measure: (gateway: Gateway, load: Load) => Promise<Series[]>,
): Promise<Found> {
  const { bin, where, servers, tools } = options;
  await using gateway = await startGateway(bin, servers);
  using load = new Load();
  const lists = await untilListed(gateway, tools);
  const series = await measure(gateway, load);
  const audit = await auditOf(bin, gateway);
  return { series, bounds: afterwards(where, lists + load.total(), audit) };
}

/** The same modern tools/call through the floor, the SDK relay and (if there is a build) the gateway. */
export async function contest(bin: string | undefined, plan: Plan): Promise<Found> {
  await using upstream = await launch([path('fixtures/servers/modern-http.ts')]);
  await using floor = await launch([path('bench/contenders/floor.ts'), upstream.url.href]);
  await using sdk = await launch([path('bench/contenders/sdk.ts'), upstream.url.href]);
  const contender = (name: string, { pid, url }: Running, tool: string): Contender => ({
    name,
    pid,
    subject: { kind: 'modern', url: url.href, tool },
  });
  const others = [contender('floor', floor, 'echo'), contender('sdk', sdk, 'echo')];
  if (bin === undefined) {
    using load = new Load();
    return { series: await compete(load, others, plan), bounds: [] };
  }
  const servers = { bench: { url: upstream.url.href } };
  return await withGateway({ bin, where: 'contest', servers, tools: 1 }, async (gateway, load) => {
    const series = await compete(load, [...others, contender('gateway', gateway, 'bench__echo')], plan);
    const reached = await countOf(upstream);
    if (reached !== load.total())
      throw new Error(`${load.total()} calls were answered, ${reached} reached the upstream`);
    load.forget(...others.map(({ name }) => name));
    return series;
  });
}

/** The gateway's other ways: HTTP+SSE on either side, and a long list. */
export async function lanes(bin: string, plan: Plan): Promise<Found> {
  await using upstream = await launch([path('fixtures/servers/modern-http.ts'), '--tools', String(LISTED_TOOLS)]);
  const calls = await callLanes(bin, upstream, plan);
  const list = await listLane(bin, upstream, plan);
  return { series: [...calls.series, ...list.series], bounds: [...calls.bounds, ...list.bounds] };
}

async function callLanes(bin: string, upstream: Running, plan: Plan): Promise<Found> {
  await using stream = await launch([path('fixtures/servers/sdk-v1-server.ts'), '--transport', 'sse']);
  const sse = { type: 'sse', url: stream.url.href } as const;
  const servers = { bench: { url: upstream.url.href }, sse };
  const named = ['bench__echo', 'sse__echo'];
  return await withGateway({ bin, where: 'lanes', servers, tools: named }, ({ pid, url }, load) => {
    const ownStream = new URL('/sse', url).href;
    return compete(
      load,
      [
        { name: 'HTTP+SSE client', pid, subject: { kind: 'sse', url: ownStream, tool: 'bench__echo' } },
        { name: 'HTTP+SSE upstream', pid, subject: { kind: 'modern', url: url.href, tool: 'sse__echo' } },
      ],
      plan,
    );
  });
}

/** Calls across the eras and within the legacy one, and questions both ways, beside the floor; stdio without the server's CPU time. */
export async function bridges(bin: string, plan: Plan): Promise<Found> {
  await using modern = await launch([path('fixtures/servers/modern-http.ts')]);
  await using floor = await launch([path('bench/contenders/floor.ts'), modern.url.href]);
  await using asking = await launch([path('fixtures/servers/sdk-server.ts'), '--era', 'modern']);
  await using legacy = await launch([path('fixtures/servers/sdk-v1-server.ts')]);
  const servers = {
    modern: { url: modern.url.href },
    asking: { url: asking.url.href },
    legacy: { url: legacy.url.href },
    // the same process: a server that asks has an instance for each caller, which must not cost those who are not asked
    live: { url: legacy.url.href },
    pipe: { command: process.execPath, args: [path('fixtures/servers/echo-stdio.ts')] },
  };
  const tools = ['modern__echo', 'asking__ask_form', 'legacy__echo', 'live__ask_form', 'pipe__echo'];
  return await withGateway({ bin, where: 'bridge', servers, tools }, async ({ pid, url: { href: url } }, load) => {
    const cell = (name: string, kind: Kind, tool: string): Contender => ({ name, pid, subject: { kind, url, tool } });
    const base: Contender = {
      name: 'floor',
      pid: floor.pid,
      subject: { kind: 'modern', url: floor.url.href, tool: 'echo' },
    };
    const series = await compete(
      load,
      [
        base,
        cell('modern, legacy HTTP', 'modern', 'legacy__echo'),
        { ...cell('modern, legacy stdio', 'modern', 'pipe__echo'), alone: true },
        cell('legacy, modern HTTP', 'session', 'modern__echo'),
        cell('legacy, legacy HTTP', 'session', 'legacy__echo'),
        { ...cell('asked: modern, legacy', 'asked', 'live__ask_form'), requests: REQUESTS_PER_ASKED },
        cell('asked: legacy, modern', 'asked-session', 'asking__ask_form'),
      ],
      plan,
    );
    load.forget(base.name);
    return series;
  });
}

function listLane(bin: string, upstream: Running, plan: Plan): Promise<Found> {
  const names = Array.from({ length: LISTED_SERVERS }, (_, index) => `s${index + 1}`);
  const servers = Object.fromEntries(names.map((name) => [name, { url: `${upstream.url.href}/${name}` }]));
  const tools = LISTED_SERVERS * LISTED_TOOLS;
  return withGateway({ bin, where: 'list', servers, tools }, ({ pid, url }, load) =>
    compete(
      load,
      [{ name: `tools/list ${tools}`, pid, subject: { kind: 'list', url: url.href, tool: 's1__echo', tools } }],
      plan,
    ),
  );
}
