// Prints data to stdout and messages to stderr, without characters that control a terminal.

// control and format characters: escape sequences, and marks that reorder or hide text
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Makes text of servers and clients safe for a terminal; keeps line breaks and tabs. */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(UNSAFE, (character) => (character === '\n' || character === '\t' ? character : '\ufffd'));
}

/** As `printable`, but on one line, so that the text cannot fake another line. */
export function oneLine(text: string): string {
  return printable(text).replaceAll(/[\n\t]+/g, ' ');
}

/** Makes JSON that is safe for a terminal: escapes the characters that `printable` replaces. */
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

/** Writes a message for a person. */
export function say(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** Clears the line of the cursor. */
export const CLEAR_LINE = '\r\u001b[K';

/** A number of things. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A duration for a person. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 120 * 60_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
