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

/** Begins the line anew that the cursor is in. */
export const CLEAR_LINE = '\r\u001b[K';
