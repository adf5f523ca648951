// `npm run conformance`: the official suite against servers behind the built gateway, and against the gateway as a client.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BIN, ROOT } from '../integration/harness/gateway.ts';
import { findOfClient, findOfServer, type Found } from './legs.ts';
import { failures, type Judged, page, table, total } from './report.ts';
import {
  besidesOf,
  type Leg,
  nameOf,
  type Revision,
  REVISIONS,
  type Run,
  RUNS,
  SIGNING_IN,
  type Sitting,
  SITTINGS,
} from './runs.ts';
import { requiredScenarios, version } from './suite.ts';
import { judgeAll } from './verdict.ts';

const USAGE = `Usage: npm run conformance -- [--only NAME] [--direct]

  --only NAME  only the run of that name, or all of a row (${RUNS.map(nameOf).join(', ')})
  --direct     without the gateway: is the fixture itself what the suite wants? Over HTTP and stdio

Exit code 10: a required scenario did not pass, or the log of a gateway before a server of both eras is not as it must be. A run of
everything also writes docs/conformance.md.
`;

const PAGE = join(ROOT, 'docs/conformance.md');
const LIMIT_MS = 600_000;
/** Two cores: a sitting has a gateway, a server and the suite, which mostly wait for each other. */
const AT_ONCE = 3;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    direct: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

// More than a hundred processes run the same code: each finds it compiled by those before it. vitest.config.ts keeps it there as well.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, '.vitest/compiled');

const out = (text: string): void => void process.stdout.write(`${text}\n`);

const signsIn = (scenario: string): boolean => scenario.startsWith(SIGNING_IN);

/** The scenarios of the suite by leg and revision. */
type OfSuite = (leg: Leg, revision: Revision) => readonly string[];

/** Asks the suite once for each leg and revision. */
async function askSuite(): Promise<OfSuite> {
  const legs: readonly Leg[] = ['server', 'client'];
  const pairs = legs.flatMap((leg) => REVISIONS.map((revision) => ({ leg, revision })));
  const asked = pairs.map(
    async ({ leg, revision }) => [leg + revision, await requiredScenarios(leg, revision)] as const,
  );
  const known = new Map(await Promise.all(asked));
  return (leg, revision) => known.get(leg + revision) ?? [];
}

function requiredOf(run: Run, ofSuite: OfSuite): string[] {
  const all = [...ofSuite(run.way.leg, run.revision), ...besidesOf(run).required];
  return all.filter((scenario) => !signsIn(scenario));
}

async function find({ way, course }: Sitting, ofSuite: OfSuite): Promise<Found> {
  if (way.leg === 'server') return await findOfServer(way, { course, direct: options.direct });
  const [[revision]] = course;
  const findings = await findOfClient(way, { revision, scenarios: requiredOf({ way, revision }, ofSuite) });
  return { passes: [{ revision, when: '', findings }], records: [] };
}

interface Sat extends Found {
  readonly way: Sitting['way'];
}

/** Holds the sittings, a few at once. */
async function hold(sittings: readonly Sitting[], ofSuite: OfSuite): Promise<Sat[]> {
  const results: Sat[] = [];
  const waiting = [...sittings];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      results.push({ way: next.way, ...(await find(next, ofSuite)) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

function judged(run: Run, sat: readonly Sat[], ofSuite: OfSuite): Judged {
  const of = sat.filter(({ way }) => way === run.way);
  const passes = of.flatMap((one) => one.passes).filter(({ revision }) => revision === run.revision);
  const verdicts = judgeAll(requiredOf(run, ofSuite), passes);
  return { run, verdicts, reported: judgeAll(besidesOf(run).reported, passes) };
}

/** Whether the server can be looked at without the gateway. */
const standsAlone = ({ way }: Sitting): boolean => way.leg === 'server' && !way.aggregate && way.transport !== 'sse';

/** Whether the run is one of those asked for. */
const wanted = (run: Run): boolean => [nameOf(run), run.way.name, undefined].includes(options.only);

const runsOf = ({ way, course }: Sitting): Run[] => course.flat().map((revision) => ({ way, revision }));

async function main(): Promise<number> {
  const sittings = SITTINGS.filter((one) => runsOf(one).some(wanted) && !(options.direct && !standsAlone(one)));
  if (options.help || sittings.length === 0) {
    process.stderr.write(USAGE);
    return options.help ? 0 : 2;
  }
  if (!options.direct && !existsSync(BIN)) {
    process.stderr.write(`${BIN} does not exist. Run \`npm run build\` first.\n`);
    return 2;
  }
  const ofSuite = await askSuite();
  const sat = await hold(sittings, ofSuite);
  const runs = RUNS.filter((run) => wanted(run) && sat.some(({ way }) => way === run.way));
  return await tell(
    runs.map((run) => judged(run, sat, ofSuite)),
    sat,
    ofSuite,
  );
}

async function tell(all: readonly Judged[], sat: readonly Sat[], ofSuite: OfSuite): Promise<number> {
  out(table(all));
  for (const failure of failures(all)) out(`\n${failure}`);
  const wrong = sat.flatMap(({ way, records }) => records.map((one) => `${way.name}: ${one}`));
  if (wrong.length > 0) out(`\n${['wrong records', ...wrong].join('\n  ')}`);
  if (!options.direct && all.length === RUNS.length) {
    const waiting = (revision: Revision) => ofSuite('client', revision).filter(signsIn);
    writeFileSync(PAGE, await page(all, { suite: version, file: PAGE, waiting }));
  }
  const { passed, required } = total(all);
  out(`\n${passed} of ${required}`);
  return passed === required && wrong.length === 0 ? 0 : 10;
}

// What was started ends with this process; see the `exit` listeners where it is started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
setTimeout(() => {
  process.stderr.write(`The suite did not come to its end within ${LIMIT_MS / 1_000} s.\n`);
  process.exit(1);
}, LIMIT_MS).unref();

process.exitCode = await main();
