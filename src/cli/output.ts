// Words and data of the command line: data on stdout, words on stderr, nothing that could steer a terminal.

// control and format characters: escapes, and the marks that reorder or hide text
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Text of servers and clients as a terminal may show it; line breaks and tabs are kept. */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(UNSAFE, (character) => (character === '\n' || character === '\t' ? character : '\ufffd'));
}

/** The same for text that must not pretend to be a line of its own. */
export function oneLine(text: string): string {
  return printable(text).replaceAll(/[\n\t]+/g, ' ');
}

/** JSON that a terminal may show too: what `printable` replaces is escaped, so that nothing is lost. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSAFE, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, at) => escapeUnit(character, at)).join(''),
  );
}

function escapeUnit(text: string, at: number): string {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}

/** Writes data. */
export function print(text: string): void {
  process.stdout.write(`${printable(text)}\n`);
}

/** Writes data as one JSON document. */
export function printJson(value: unknown): void {
  print(jsonText(value, process.stdout.isTTY ? 2 : undefined));
}

/** Writes data as one line of JSON. */
export function printJsonLine(value: unknown): void {
  print(jsonText(value));
}

/** Writes words for a person. */
export function say(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** Columns of the terminal; a file or a pipe takes any width. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Infinity;
}

/** Begins the line anew that the cursor is in. */
export const CLEAR_LINE = '\r\u001b[K';

const GAP = 2;
/** A column that is cut keeps at least so much. */
const NARROWEST = 6;

/**
 * Lines up columns, cells being one line each; columns without any text are left out. Where the terminal is narrower than the
 * table, the widest columns are cut, but never the first: it has what is copied from it.
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
    // what a column is called is cut only where nothing else is left to cut
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

/** As much of a text as so many places of a terminal take. */
export function cut(text: string, width: number): string {
  if (text.length <= width / 2 || widthOf(text) <= width) return text;
  let left = width;
  let shown = '';
  for (const character of text) {
    left -= widthOf(character);
    if (left < 1) break;
    shown += character;
  }
  return `${shown}…`;
}

const WIDE = /[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\uff01-\uff60]/u;
const MARK = /\p{M}/u;

/** How many places of a terminal a text takes. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}
