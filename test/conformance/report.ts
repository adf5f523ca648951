// The verdicts as text: a table of runs and scenarios, why what failed did, and the page in docs.
import { format, resolveConfig } from 'prettier';
import { type Run } from './runs.ts';
import { type Verdict } from './verdict.ts';

/** A run and how every scenario that it requires came out. */
export interface Judged {
  readonly run: Run;
  readonly verdicts: ReadonlyMap<string, Verdict>;
}

export interface Total {
  readonly passed: number;
  readonly required: number;
}

/** Counts scenarios over all runs. */
export function total(all: readonly Judged[]): Total {
  const verdicts = all.flatMap((one) => [...one.verdicts.values()]);
  return { passed: verdicts.filter(({ passed }) => passed).length, required: verdicts.length };
}

const mark = (verdict: Verdict | undefined): string => (verdict ? (verdict.passed ? 'yes' : 'NO') : '');

/** A row for each scenario that any run requires, a column for each run; empty where a revision does not have the scenario. */
function rows(all: readonly Judged[]): string[][] {
  const scenarios = new Set(all.flatMap(({ verdicts }) => [...verdicts.keys()]));
  return [
    ['scenario', ...all.map(({ run }) => run.name)],
    ...[...scenarios].map((scenario) => [scenario, ...all.map(({ verdicts }) => mark(verdicts.get(scenario)))]),
  ];
}

/** The table for a terminal. */
export function table(all: readonly Judged[]): string {
  const lines = rows(all);
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const pad = (cell: string, column: number): string => cell.padEnd(widths[column] ?? 0);
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

/** What failed and why, a paragraph each. */
export function failures(all: readonly Judged[]): string[] {
  return all.flatMap(({ run, verdicts }) =>
    [...verdicts]
      .filter(([, { passed }]) => !passed)
      .map(([scenario, { reasons }]) => [`${run.name}: ${scenario}`, ...reasons].join('\n  ')),
  );
}

/** The page in docs, which is the same whenever the outcome is. */
export async function page(all: readonly Judged[], suite: string, file: string): Promise<string> {
  const { passed, required } = total(all);
  const [heads = [], ...body] = rows(all);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const markdown = `# Conformance

<!-- Written by \`npm run conformance\`. -->

What \`@modelcontextprotocol/conformance\` ${suite} finds when it speaks with a server through the gateway. A column is a server
behind it: at \`/mcp/s/NAME\`, or at \`/mcp\` as an aggregate, where something takes the prefix off the names for the suite. Legacy ones
are held to what 2025-11-25 requires, modern ones to what 2026-07-28 does, and each to what the suite runs beside that and we require
as well. A scenario passes if something was checked, nothing failed and nothing was warned of.

${line(heads)}
${line(heads.map(() => '---'))}
${body.map(line).join('\n')}

${passed} of ${required}
`;
  return await format(markdown, { ...(await resolveConfig(file)), parser: 'markdown' });
}
