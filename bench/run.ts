// `npm run bench`: what a call through the gateway costs, beside the barest relay and the usual one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { against, againstBounds } from './against.ts';
import { blockBounds, blockTable, measureBlocks } from './blocks.ts';
import { bridges, contest, lanes } from './lanes.ts';
import { path } from './process.ts';
import { type Bound, costBounds, rowsOf, startupBounds, table, verdicts } from './report.ts';
import type { Plan } from './rounds.ts';
import { measureStartup } from './startup.ts';

const USAGE = `Usage: npm run bench -- [--quick] [--floor-only] [--json FILE] [--save NAME] [--bin FILE] [--against FILE]

  --quick       short rounds, about 20 s in all: for a look, not for a record
  --floor-only  only the floor and the SDK relay: needs no build
  --json FILE   write the figures to FILE
  --save NAME   write the figures to bench/results/NAME.json
  --bin FILE    the gateway to measure (default dist/cli/bin.js)
  --against FILE  only compare it with this other build, in turn, in the same rounds

Exit code 10: a bound was missed.
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    'floor-only': { type: 'boolean', default: false },
    json: { type: 'string' },
    save: { type: 'string' },
    bin: { type: 'string', default: path('dist/cli/bin.js') },
    against: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const CONNECTIONS = [1, 16];
const CONTEST: Plan = options.quick
  ? { connections: CONNECTIONS, rounds: 3, milliseconds: 300, warmup: 400 }
  : { connections: CONNECTIONS, rounds: 7, milliseconds: 1_500, warmup: 3_000 };
const LANES: Plan = options.quick
  ? { connections: CONNECTIONS, rounds: 1, milliseconds: 300, warmup: 300 }
  : { connections: CONNECTIONS, rounds: 3, milliseconds: 1_500, warmup: 1_500 };
const COMPARISON: Plan = options.quick
  ? { connections: [16], rounds: 3, milliseconds: 300, warmup: 400 }
  : { connections: [16], rounds: 15, milliseconds: 1_500, warmup: 3_000 };
const STARTS = options.quick ? 3 : 9;
const TRIES = options.quick ? 1 : 5;

const out = (text: string): void => void process.stdout.write(`${text}\n`);

/** What git says, or null outside a clone. */
function git(...args: string[]): string | null {
  const { status, stdout } = spawnSync('git', args, { cwd: path('.'), encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

/** Where and of what the figures are. */
function circumstances(): Record<string, unknown> {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    node: process.version,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    commit: git('rev-parse', '--verify', 'HEAD'),
    clean: git('status', '--porcelain') === '',
  };
}

function write(file: string, figures: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
}

async function measure(bin: string | undefined): Promise<{ report: object; bounds: Bound[] }> {
  const contested = await contest(bin, CONTEST);
  const rows = rowsOf(contested.series);
  const bounds = [...costBounds(contested.series), ...contested.bounds];
  out(`One modern tools/call\n\n${table(rows)}\n`);
  if (bin === undefined) return { report: { contest: rows }, bounds };

  const others = await lanes(bin, LANES);
  const otherRows = rowsOf(others.series);
  bounds.push(...others.bounds);
  out(`Other lanes of the gateway\n\n${table(otherRows)}\n`);

  const bridged = await bridges(bin, LANES);
  const bridgeRows = rowsOf(bridged.series);
  bounds.push(...bridged.bounds);
  out(`Client and server of the bridge (stdio: without the CPU time of the server)\n\n${table(bridgeRows)}\n`);

  const blocks = await measureBlocks(bin, TRIES);
  bounds.push(...blockBounds(blocks));
  out(`Longest time that one message holds up the event loop\n\n${blockTable(blocks)}\n`);

  const startup = await measureStartup(bin, STARTS);
  bounds.push(...startupBounds(startup));
  return { report: { contest: rows, lanes: otherRows, bridge: bridgeRows, blocks, startup }, bounds };
}

async function compare(bin: string, other: string): Promise<{ report: object; bounds: Bound[] }> {
  const found = await against(bin, other, COMPARISON);
  for (const { what, before, now, more } of found) {
    const [old, added] = [before, more].map((figure) => figure?.median.toFixed(3));
    out(`${what}: ${now.median.toFixed(3)} x${old === undefined ? '' : `, before ${old} x, more ${added ?? ''}`}`);
  }
  return {
    report: { against: git('-C', dirname(other), 'rev-parse', '--verify', 'HEAD'), comparison: found },
    bounds: againstBounds(found),
  };
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!options['floor-only'] && !existsSync(options.bin)) {
    process.stderr.write(`${options.bin} does not exist. Run \`npm run build\` first, or measure with --floor-only.\n`);
    return 2;
  }
  const { report, bounds } =
    options.against === undefined
      ? await measure(options['floor-only'] ? undefined : options.bin)
      : await compare(options.bin, options.against);
  if (bounds.length > 0) out(`Bounds\n\n${verdicts(bounds)}`);
  const figures = { ...circumstances(), quick: options.quick, ...report, bounds };
  if (options.json !== undefined) write(options.json, figures);
  if (options.save !== undefined) write(path(`bench/results/${options.save}.json`), figures);
  return bounds.every(({ met }) => met) ? 0 : 10;
}

process.exitCode = await main();
