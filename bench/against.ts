// This build beside another one, in turn, within one run: the only way to tell a small difference on a machine that drifts.
import { type Gateway, startGateway, untilListed } from './gateway.ts';
import { launch, path, type Running } from './process.ts';
import { compete, type Contender, Load, type Plan, type Sample, type Series } from './rounds.ts';
import type { Bound } from './report.ts';

/** Quartiles of one figure over the rounds. */
interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** One kind of request, through both builds. */
export interface Comparison {
  readonly what: string;
  readonly rounds: number;
  /** CPU per call over that of the floor (of the other build, where the floor cannot do it), round by round. */
  readonly before?: Quartiles;
  readonly now: Quartiles;
  /** `now` less `before` within each round, in units of the floor. */
  readonly more?: Quartiles;
}

const LISTED_SERVERS = 20;
const LISTED_TOOLS = 25;
const PATTERNS = 1_000;
const NAMES = ['floor', 'before', 'now'] as const;

/** What a call may cost more than in the other build, in units of the floor. */
const CALL_MARGIN = 0.05;
/** What two runs of the same list differ by on a noisy machine. */
const LIST_MARGIN = 1.05;

/** The value at a share of the sorted values, between neighbours as far as it lies. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

function quartiles(values: readonly number[]): Quartiles {
  const at = (share: number): number => Number(quantile(values, share).toFixed(3));
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}

/** Compares the build `bin` with the build `other`: a call, a call under 1,000 patterns, and a list of 500 tools. */
export async function against(bin: string, other: string, plan: Plan): Promise<Comparison[]> {
  const allow = Array.from({ length: PATTERNS }, (_, index) => `tool_${index}_*`);
  return [
    await calls('tools/call', { bin, other, plan, tools: undefined }),
    await calls(`tools/call with ${PATTERNS} patterns (this build alone)`, {
      bin,
      other: undefined,
      plan,
      tools: { allow: [...allow, 'echo'], deny: [] },
    }),
    await lists({ bin, other, plan }),
  ];
}

/** What must hold of the comparisons. */
export function againstBounds(found: readonly Comparison[]): Bound[] {
  return found.flatMap(({ what, more, now, rounds }) => {
    const spread = `quartiles ${now.low.toFixed(2)} … ${now.high.toFixed(2)}, ${rounds} rounds`;
    if (more !== undefined)
      return [
        {
          what: `${what}: at most ${CALL_MARGIN} x the floor more than the other build`,
          figure: `${more.median.toFixed(3)} (${more.low.toFixed(3)} … ${more.high.toFixed(3)}); now ${now.median.toFixed(2)} x, ${spread}`,
          met: more.median <= CALL_MARGIN,
        },
      ];
    if (!what.startsWith('tools/list')) return [];
    return [
      {
        what: `${what}: not slower than the other build (x its CPU; up to ${LIST_MARGIN} is noise)`,
        figure: `${now.median.toFixed(2)} x, ${spread}`,
        met: now.median <= LIST_MARGIN,
      },
    ];
  });
}

interface Compared {
  readonly bin: string;
  readonly other: string | undefined;
  readonly plan: Plan;
}

async function calls(
  what: string,
  { bin, other, plan, tools }: Compared & { readonly tools: object | undefined },
): Promise<Comparison> {
  await using upstream = await launch([path('fixtures/servers/modern-http.ts')]);
  await using floor = await launch([path('bench/contenders/floor.ts'), upstream.url.href]);
  const servers = { bench: { url: upstream.url.href, ...(tools && { tools }) } };
  await using now = await ready(bin, servers, 1);
  await using before = other === undefined ? undefined : await ready(other, servers, 1);
  const contender = (name: string, { pid, url }: Running, tool: string): Contender => ({
    name,
    pid,
    subject: { kind: 'modern', url: url.href, tool },
  });
  using load = new Load();
  const series = await compete(
    load,
    [
      contender('floor', floor, 'echo'),
      ...(before ? [contender('before', before, 'bench__echo')] : []),
      contender('now', now, 'bench__echo'),
    ],
    { ...plan, connections: [16] },
  );
  const [bare, old, latest] = NAMES.map((name) => samplesOf(series, name));
  const times = (samples: readonly Sample[]): number[] => ratios(samples, bare ?? []);
  const gained = times(latest ?? []).map((ratio, round) => ratio - (times(old ?? [])[round] ?? Number.NaN));
  return {
    what,
    rounds: plan.rounds,
    now: quartiles(times(latest ?? [])),
    ...(other !== undefined && { before: quartiles(times(old ?? [])), more: quartiles(gained) }),
  };
}

async function lists({ bin, other, plan }: Compared & { readonly other: string }): Promise<Comparison> {
  await using upstream = await launch([path('fixtures/servers/modern-http.ts'), '--tools', String(LISTED_TOOLS)]);
  const names = Array.from({ length: LISTED_SERVERS }, (_, index) => `s${index + 1}`);
  const servers = Object.fromEntries(names.map((name) => [name, { url: `${upstream.url.href}/${name}` }]));
  const tools = LISTED_SERVERS * LISTED_TOOLS;
  await using now = await ready(bin, servers, tools);
  await using before = await ready(other, servers, tools);
  const contender = (name: string, { pid, url }: Running): Contender => ({
    name,
    pid,
    subject: { kind: 'list', url: url.href, tool: 's1__echo', tools },
  });
  using load = new Load();
  const series = await compete(load, [contender('before', before), contender('now', now)], {
    ...plan,
    connections: [16],
  });
  const times = ratios(samplesOf(series, 'now') ?? [], samplesOf(series, 'before') ?? []);
  return { what: `tools/list of ${tools}`, rounds: plan.rounds, now: quartiles(times) };
}

async function ready(bin: string, servers: Parameters<typeof startGateway>[1], tools: number): Promise<Gateway> {
  const gateway = await startGateway(bin, servers);
  await untilListed(gateway, tools);
  return gateway;
}

function samplesOf(series: readonly Series[], name: string): readonly Sample[] | undefined {
  return series.find((one) => one.name === name)?.samples;
}

function ratios(samples: readonly Sample[], others: readonly Sample[]): number[] {
  return samples.flatMap((sample, round) => (others[round] ? [sample.cpu / others[round].cpu] : []));
}
