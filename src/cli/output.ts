// Words and data of the command line: data on stdout, words on stderr, nothing that could steer a terminal.

// control and format characters: escapes, and the marks that reorder or hide text; line breaks and tabs are kept
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Text of servers and clients as a terminal may show it. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => (character === '\n' || character === '\t' ? character : '\ufffd'));
}

/** Writes data. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes data as one JSON document. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));
}

/** Writes words for a person. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Lines up columns; the last one is not padded. Cells are one line each. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows.map((row) => row.map((cell) => printable(cell).replaceAll('\n', ' ')))];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === line.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
