// Lays out text in the columns of a terminal: tables, and lines that are cut to fit.
import { createRequire } from 'node:module';
import type * as StringWidth from 'string-width';
import { oneLine } from './output.ts';

const require = createRequire(import.meta.url);
const ASCII = /^[ -~]*$/;

/** The width of the terminal; infinite for a file or a pipe. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Infinity;
}

const GAP = 2;
/** The least width of a column that is cut. */
const NARROWEST = 6;

/**
 * Makes a table with one line per row, without columns that are empty in all rows. If the terminal is too narrow, the widest columns are cut,
 * but never the first, because people copy from it.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  limit = terminalWidth(),
): string {
  const cells = rows.map((row) => row.map(oneLine));
  const used = header.map((_, column) => cells.length === 0 || cells.some((row) => row[column] !== ''));
  const lines = [[...header], ...cells].map((line) => line.filter((_, column) => used[column]));
  const widths = lines.reduce<number[]>(
    (all, line) => line.map((cell, at) => Math.max(all[at] ?? 0, widthOf(cell))),
    [],
  );
  narrow(widths, lines[0]?.map(widthOf) ?? [], limit);
  return lines
    .map((line) =>
      line
        .map((cell, at) => fit(cell, widths[at] ?? 0))
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .join('\n');
}

function narrow(widths: number[], headers: readonly number[], limit: number): void {
  const total = () => widths.reduce((sum, width) => sum + width + GAP, -GAP);
  for (let over = total() - limit; over > 0; over = total() - limit) {
    // cuts headers only when no column is wider than its header
    const spare = widths.map((width, at) => (at > 0 && width > (headers[at] ?? 0) ? width : 0));
    const cuttable = Math.max(...spare) > NARROWEST ? spare : widths.map((width, at) => (at > 0 ? width : 0));
    const widest = Math.max(...cuttable);
    if (widest <= NARROWEST) return;
    widths[cuttable.indexOf(widest)] = widest - 1;
  }
}

function fit(cell: string, width: number): string {
  const shown = cut(cell, width);
  return shown + ' '.repeat(Math.max(0, width - widthOf(shown)));
}

/** Cuts a text to a width, with an ellipsis in place of the rest; reads no more of the text than that. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns / 2) return text;
  let used = 0;
  let shown = '';
  for (const character of charactersOf(text)) {
    used += widthOf(character);
    if (used > columns) return `${shown}…`;
    // the ellipsis takes a column too
    if (used < columns) shown += character;
  }
  return text;
}

/** Splits a text into graphemes: a flag is one, and so is a letter with its accent. */
function* charactersOf(text: string): Iterable<string> {
  if (ASCII.test(text)) yield* text;
  else for (const { segment } of new Intl.Segmenter().segment(text)) yield segment;
}

/** The width of a text. The first text that is not ASCII loads the rules of Unicode, which takes as long as the rest of a short command. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : (require('string-width') as typeof StringWidth).default(text);
}
