// docs/reference/limits.md, made of the table of bounds.
import type { Bound } from '../../../src/core/bounds/bound.ts';
import { BOUND_PARTS } from '../../../src/core/bounds/bounds.ts';

const HEAD = `# Limits

What the gateway bounds by itself. Limits that you can set are in [configuration.md](configuration.md) (\`limits\`, \`timeouts\`). The code in
the column *error* is the gateway's answer to a caller at the bound ([errors.md](errors.md)); where it is empty, the gateway refuses no caller.
`;

export function limitsReference(): string {
  const parts = Object.entries(BOUND_PARTS).map(([title, part]) => section(title, Object.entries<Bound>(part)));
  return [HEAD, ...parts.filter((text) => text !== '')].join('\n');
}

function section(title: string, rows: readonly (readonly [string, Bound])[]): string {
  if (rows.length === 0) return '';
  const cells = [
    ['name', 'value', 'for each', 'error', 'what it bounds'],
    ...rows.map(([name, { value, unit, scope, error, help }]) => [
      `\`${name}\``,
      shown(value, unit),
      scope,
      error === undefined ? '' : `\`${error}\``,
      help,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return `## ${title}\n\n${[line(head), rule, ...body.map(line)].join('\n')}\n`;
}

/** A number as one reads it. */
function shown(value: number, unit: string): string {
  if (unit === 'ms') return duration(value);
  if (unit === 'bytes' && value % 1024 === 0)
    return value % (1024 * 1024) === 0 ? `${value / 1024 / 1024} MiB` : `${value / 1024} KiB`;
  return `${value.toLocaleString('en-US')} ${unit}`;
}

function duration(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  if (ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`;
}
