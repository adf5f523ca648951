// The verdicts as text: a table of scenarios and runs, why what failed did, and the page in docs.
import { format, resolveConfig } from 'prettier';
import { nameOf, type Revision, REVISIONS, type Run, SIGNING_IN, SKIPPED, WAYS } from './runs.ts';
import type { Verdict } from './verdict.ts';

/** A run and how its scenarios came out. */
export interface Judged {
  readonly run: Run;
  /** Of every scenario that is required. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** Of those that are looked at and not required. */
  readonly reported: ReadonlyMap<string, Verdict>;
}

export interface Total {
  readonly passed: number;
  readonly required: number;
}

/** Counts the required scenarios over all runs. */
export function total(all: readonly Judged[]): Total {
  const verdicts = all.flatMap((one) => [...one.verdicts.values()]);
  return { passed: verdicts.filter(({ passed }) => passed).length, required: verdicts.length };
}

/** In place of the letter of a run in which a required scenario failed. */
const FAILED = '-';
/** In place of the letter of a run in which one failed that is not required. */
const MISSED = '.';

function mark({ run, verdicts, reported }: Judged, scenario: string): string {
  const { letter } = run.way;
  const required = verdicts.get(scenario);
  if (required) return required.passed ? letter : FAILED;
  const seen = reported.get(scenario);
  if (seen) return seen.passed ? letter.toLowerCase() : MISSED;
  return '';
}

/** The letters of the runs at a revision that passed a scenario; empty where the revision does not have it. */
function marks(all: readonly Judged[], scenario: string, revision: Revision): string {
  const at = all.filter(({ run }) => run.revision === revision);
  return at.map((one) => mark(one, scenario)).join('');
}

/** A row for each scenario that any run looks at, those for servers first, a column for each revision. */
function rows(all: readonly Judged[]): string[][] {
  const byWay = WAYS.flatMap((way) => all.filter(({ run }) => run.way === way));
  const scenarios = new Set(byWay.flatMap(({ verdicts, reported }) => [...verdicts.keys(), ...reported.keys()]));
  return [
    ['scenario', ...REVISIONS],
    ...[...scenarios].map((scenario) => [scenario, ...REVISIONS.map((revision) => marks(all, scenario, revision))]),
  ];
}

/** What the letters stand for, a line for each leg. */
function legend(): string[] {
  const of = (leg: string): string =>
    WAYS.filter((way) => way.leg === leg)
      .map(({ letter, name }) => `${letter} ${name}`)
      .join(', ');
  return [`servers behind the gateway: ${of('server')}`, `the gateway as a client: ${of('client')}`];
}

/** The table for a terminal. */
export function table(all: readonly Judged[]): string {
  const lines = rows(all);
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const pad = (cell: string, column: number): string => cell.padEnd(widths[column] ?? 0);
  const body = lines.map((line) => line.map(pad).join('  ').trimEnd());
  const signs = `${FAILED} failed, small letter passed and not required, ${MISSED} failed and not required`;
  return [...legend(), signs, '', ...body].join('\n');
}

/** What failed and why, a paragraph each; that nobody requires it is said. */
export function failures(all: readonly Judged[]): string[] {
  const of = (run: Run, verdicts: ReadonlyMap<string, Verdict>, said = ''): string[] =>
    [...verdicts]
      .filter(([, { passed }]) => !passed)
      .map(([scenario, { reasons }]) => [`${nameOf(run)}: ${scenario}${said}`, ...reasons].join('\n  '));
  return all.flatMap(({ run, verdicts, reported }) => [...of(run, verdicts), ...of(run, reported, ' (not required)')]);
}

export interface PageOptions {
  /** The version of the suite. */
  readonly suite: string;
  /** Where the page will stand, which decides how it is formatted. */
  readonly file: string;
  /** What the suite requires at each revision and is not required here yet. */
  readonly waiting: (revision: Revision) => readonly string[];
}

/** The page in docs, which is the same whenever the outcome is. */
export async function page(all: readonly Judged[], { suite, file, waiting }: PageOptions): Promise<string> {
  const { passed, required } = total(all);
  const [heads = [], ...body] = rows(all);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const code = (cells: readonly string[]): string[] =>
    cells.map((cell, column) => (column && cell ? `\`${cell}\`` : cell));
  const listed = REVISIONS.map(
    (revision) =>
      `- ${revision}: ${waiting(revision)
        .map((name) => `\`${name}\``)
        .join(', ')}`,
  );
  const markdown = `# Conformance

<!-- Written by \`npm run conformance\`. -->

What \`@modelcontextprotocol/conformance\` ${suite} finds when it speaks with a server through the gateway, and what its servers see of
the gateway. A column is what a revision requires and what the suite runs beside that and we require as well, spoken at that
revision. A letter is a run that passed the scenario, \`${FAILED}\` one that did not. A scenario passes if something was checked, nothing
failed and nothing was warned of. What \`tasks-\` begins is of an extension that servers of 2025-11-25 cannot have: there a small letter
is a run that passed it all the same, \`${MISSED}\` one that did not, and neither is counted. \`${SKIPPED}\` is not here,
because the suite skips it whatever a server does.

The server of a dual row speaks both eras at one endpoint. One gateway stands before it for both columns: the suite speaks one
revision first, then the other, then the first again, then both at the same time. A letter is a scenario that passed every time. Then
the log of the gateway is read: no call may have one era at its client and another at its server.

${legend()
  .map((one) => `- ${one}`)
  .join('\n')}

The servers stand at \`/mcp/s/NAME\`; the aggregate is \`/mcp\` with four more servers, where something takes the prefix off the names
for the suite. A legacy or modern client of the SDK is what makes the gateway call the suite's servers, and fails the scenario when
it does not get what they gave. The entry of a server of 2026-07-28 says so (\`era\`), because the suite counts as a fault of a client that it
tries \`initialize\`, which is how the gateway finds out whether a server speaks both eras.

${line(heads)}
${line(heads.map(() => '---'))}
${body.map((cells) => line(code(cells))).join('\n')}

Not required yet, because the gateway does not sign in to servers yet: what begins with \`${SIGNING_IN}\`.

${listed.join('\n')}

${passed} of ${required}
`;
  return await format(markdown, { ...(await resolveConfig(file)), parser: 'markdown' });
}
