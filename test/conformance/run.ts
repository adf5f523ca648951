// `npm run conformance`: the official suite against servers behind the built gateway.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BIN, fixture, ROOT, startGateway } from '../integration/harness/gateway.ts';
import { startServer } from '../integration/harness/servers.ts';
import { startRenaming } from './renaming.ts';
import { failures, type Judged, page, table, total } from './report.ts';
import { REQUIRED_BESIDES, type Run, RUNS } from './runs.ts';
import { examine, type Findings, requiredScenarios, version } from './suite.ts';
import { judgeAll } from './verdict.ts';

const USAGE = `Usage: npm run conformance -- [--only NAME] [--direct]

  --only NAME  only the run of that name (${RUNS.map(({ name }) => name).join(', ')})
  --direct     without the gateway: is the fixture itself what the suite wants? Only what speaks HTTP

Exit code 10: a required scenario did not pass. A run of everything also writes docs/conformance.md.
`;

const PAGE = join(ROOT, 'docs/conformance.md');
const LIMIT_MS = 240_000;
/** Two cores: a run has a gateway, a server and the suite, which mostly wait for each other. */
const AT_ONCE = 2;
const NAME = 'fixture';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    direct: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const out = (text: string): void => void process.stdout.write(`${text}\n`);

async function through(run: Run, server: object): Promise<Findings> {
  const gateway = await startGateway({ config: { mcpServers: { [NAME]: server } } });
  try {
    await gateway.attempted();
    if (!run.aggregate) return await examine(`${gateway.origin}/mcp/s/${NAME}`, run.revision);
    await using renaming = await startRenaming({ target: gateway.url, prefix: `${NAME}__` });
    return await examine(renaming.url, run.revision);
  } finally {
    await gateway.stop();
  }
}

async function find(run: Run): Promise<Findings> {
  if (run.transport === 'stdio') return await through(run, fixture(run.server, '--transport', 'stdio'));
  const server = await startServer(run.server, '--transport', run.transport);
  try {
    if (options.direct) return await examine(server.url, run.revision);
    return await through(run, { url: server.url, ...(run.transport === 'sse' && { type: 'sse' }) });
  } finally {
    await server.stop();
  }
}

async function judged(run: Run): Promise<Judged> {
  const required = [...(await requiredScenarios(run.revision)), ...REQUIRED_BESIDES[run.revision]];
  return { run, verdicts: judgeAll(required, await find(run)) };
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

async function main(): Promise<number> {
  const runs = RUNS.filter(
    ({ name, transport, aggregate }) =>
      (options.only ?? name) === name && !(options.direct && (transport !== 'http' || aggregate)),
  );
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
  if (!options.direct && runs.length === RUNS.length) writeFileSync(PAGE, await page(all, version, PAGE));
  const { passed, required } = total(all);
  out(`\n${passed} of ${required}`);
  return passed === required ? 0 : 10;
}

// What was started ends with this process; see the `exit` listeners where it is started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
setTimeout(() => {
  process.stderr.write(`The suite did not come to its end within ${LIMIT_MS / 1_000} s.\n`);
  process.exit(1);
}, LIMIT_MS).unref();

process.exitCode = await main();
