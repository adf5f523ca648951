// `npm run conformance`: the official suite against servers behind the built gateway, and against the gateway as a client.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BIN, ROOT } from '../integration/harness/gateway.ts';
import { findOfClient, findOfServer } from './legs.ts';
import { failures, type Judged, page, table, total } from './report.ts';
import { besidesOf, nameOf, type Revision, type Run, RUNS, SIGNING_IN } from './runs.ts';
import { requiredScenarios, version } from './suite.ts';
import { judgeAll } from './verdict.ts';

const USAGE = `Usage: npm run conformance -- [--only NAME] [--direct]

  --only NAME  only the run of that name (${RUNS.map(nameOf).join(', ')})
  --direct     without the gateway: is the fixture itself what the suite wants? Only what speaks HTTP

Exit code 10: a required scenario did not pass. A run of everything also writes docs/conformance.md.
`;

const PAGE = join(ROOT, 'docs/conformance.md');
const LIMIT_MS = 360_000;
/** Two cores: a run has a gateway, a server and the suite, which mostly wait for each other. */
const AT_ONCE = 2;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    direct: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const out = (text: string): void => void process.stdout.write(`${text}\n`);

const signsIn = (scenario: string): boolean => scenario.startsWith(SIGNING_IN);

async function judged(run: Run): Promise<Judged> {
  const { way, revision } = run;
  const { required: besides, reported } = besidesOf(run);
  const ofSuite = await requiredScenarios(way.leg, revision);
  const required = [...ofSuite, ...besides].filter((scenario) => !signsIn(scenario));
  const findings =
    way.leg === 'client'
      ? await findOfClient(way, { revision, scenarios: required })
      : await findOfServer(way, { revision, direct: options.direct });
  return { run, verdicts: judgeAll(required, findings), reported: judgeAll(reported, findings) };
}

/** Judges the runs, a few at once, and gives them in their order. */
async function judgeRuns(runs: readonly Run[]): Promise<Judged[]> {
  const results: Judged[] = [];
  const waiting = [...runs.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await judged(next[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

/** Whether the suite can speak with the server itself. */
const hasUrl = ({ way }: Run): boolean => way.leg === 'server' && way.transport === 'http' && !way.aggregate;

/** What signing in waits for, by revision. */
async function waiting(): Promise<Record<Revision, readonly string[]>> {
  const at = async (revision: Revision) => (await requiredScenarios('client', revision)).filter(signsIn);
  return { '2025-11-25': await at('2025-11-25'), '2026-07-28': await at('2026-07-28') };
}

async function writePage(all: readonly Judged[]): Promise<void> {
  writeFileSync(PAGE, await page(all, { suite: version, file: PAGE, waiting: await waiting() }));
}

async function main(): Promise<number> {
  const runs = RUNS.filter((run) => (options.only ?? nameOf(run)) === nameOf(run) && !(options.direct && !hasUrl(run)));
  if (options.help || runs.length === 0) {
    process.stderr.write(USAGE);
    return options.help ? 0 : 2;
  }
  if (!options.direct && !existsSync(BIN)) {
    process.stderr.write(`${BIN} does not exist. Run \`npm run build\` first.\n`);
    return 2;
  }
  const all = await judgeRuns(runs);
  out(table(all));
  for (const failure of failures(all)) out(`\n${failure}`);
  if (!options.direct && runs.length === RUNS.length) await writePage(all);
  const { passed, required: of } = total(all);
  out(`\n${passed} of ${of}`);
  return passed === of ? 0 : 10;
}

// What was started ends with this process; see the `exit` listeners where it is started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
setTimeout(() => {
  process.stderr.write(`The suite did not come to its end within ${LIMIT_MS / 1_000} s.\n`);
  process.exit(1);
}, LIMIT_MS).unref();

process.exitCode = await main();
