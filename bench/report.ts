// What the rounds say: figures per contender, the bounds that they must keep, and both as text.
import { type Sample, type Series, median } from './rounds.ts';
import type { Startup } from './startup.ts';

/** One line of the table; times in microseconds, medians over the rounds. */
export interface Row {
  readonly name: string;
  readonly connections: number;
  readonly callsPerSecond: number;
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU per call, over that of the floor in the same round. */
  readonly ratio?: number;
  /** p50 over that of the floor in the same round. */
  readonly added?: number;
}

/** Something that must hold. */
export interface Bound {
  readonly what: string;
  readonly figure: string;
  readonly met: boolean;
}

const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits));

const samplesOf = (all: readonly Series[], name: string, connections: number): readonly Sample[] | undefined =>
  all.find((series) => series.name === name && series.connections === connections)?.samples;

/** The median over the rounds of a figure that compares two contenders within one round. */
function compared(
  samples: readonly Sample[],
  others: readonly Sample[],
  figure: (sample: Sample, other: Sample) => number,
): number {
  return median(samples.flatMap((sample, round) => (others[round] ? [figure(sample, others[round])] : [])));
}

const ratio = (sample: Sample, other: Sample): number => sample.cpu / other.cpu;
const added = (sample: Sample, other: Sample): number => sample.p50 - other.p50;

/** Makes rows of series; with a floor among them, each is compared with it round by round. */
export function rowsOf(all: readonly Series[]): Row[] {
  return all.map(({ name, connections, samples }) => {
    const of = (figure: (sample: Sample) => number): number => rounded(median(samples.map(figure)));
    const floor = samplesOf(all, 'floor', connections);
    return {
      name,
      connections,
      callsPerSecond: Math.round(of(({ calls, seconds }) => calls / seconds)),
      cpu: of(({ cpu }) => cpu),
      p50: of(({ p50 }) => p50),
      p99: of(({ p99 }) => p99),
      ...(floor && {
        ratio: rounded(compared(samples, floor, ratio), 2),
        added: rounded(compared(samples, floor, added)),
      }),
    };
  });
}

/** The bounds on the cost of a call; none if the gateway did not run. */
export function costBounds(all: readonly Series[]): Bound[] {
  const [one, many] = [1, 16].map((connections) => samplesOf(all, 'gateway', connections));
  const [floorOne, floorMany] = [1, 16].map((connections) => samplesOf(all, 'floor', connections));
  const sdk = samplesOf(all, 'sdk', 16);
  if (!one || !many || !floorOne || !floorMany || !sdk) return [];
  const times = compared(many, floorMany, ratio);
  const less = compared(sdk, many, ratio);
  const more = compared(one, floorOne, added);
  return [
    {
      what: 'CPU per call at 16 connections: at most 2.0 x the floor',
      figure: `${times.toFixed(2)} x`,
      met: times <= 2,
    },
    {
      what: 'CPU per call at 16 connections: at least 8 x less than the SDK relay',
      figure: `${less.toFixed(2)} x`,
      met: less >= 8,
    },
    {
      what: 'p50 added over the floor at 1 connection: at most 0.4 ms',
      figure: `${(more / 1_000).toFixed(3)} ms`,
      met: more <= 400,
    },
  ];
}

/** The bounds on the time from exec to listening. */
export function startupBounds({ node, none, dead }: Startup): Bound[] {
  const limit = 10 * node + 150;
  return [
    {
      what: `Listening after at most 10 x node -e 0 (${node.toFixed(0)} ms) + 150 ms = ${limit.toFixed(0)} ms`,
      figure: `${none.toFixed(0)} ms`,
      met: none <= limit,
    },
    {
      what: 'Listening with 50 dead servers: at most 1.2 x the time with none',
      figure: `${dead.toFixed(0)} ms, ${(dead / none).toFixed(2)} x`,
      met: dead <= 1.2 * none,
    },
  ];
}

const HEADINGS = ['', 'connections', 'calls/s', 'CPU µs/call', 'p50 µs', 'p99 µs', 'x floor', 'p50 + µs'];

/** The rows as an aligned table. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((line) => [
    line.name,
    String(line.connections),
    String(line.callsPerSecond),
    line.cpu.toFixed(1),
    line.p50.toFixed(0),
    line.p99.toFixed(0),
    line.ratio?.toFixed(2) ?? '',
    line.added?.toFixed(0) ?? '',
  ]);
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

/** The bounds, one a line. */
export function verdicts(bounds: readonly Bound[]): string {
  return bounds.map(({ what, figure, met }) => `${met ? 'met   ' : 'MISSED'}  ${what}: ${figure}`).join('\n');
}
