// Scans the tokens of JSON with comments, also in a text that does not parse.
import { createScanner } from 'jsonc-parser';

/** A part of a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One token; `torn`: the scanner found an error in it, such as a missing quote. */
export interface Token extends Span {
  readonly kind: number;
  readonly torn: boolean;
}

/** The token kinds of jsonc-parser; isolated modules cannot use its const enum. */
export const TOKEN = {
  openBrace: 1,
  closeBrace: 2,
  openBracket: 3,
  closeBracket: 4,
  comma: 5,
  colon: 6,
  string: 10,
  number: 11,
  lineComment: 12,
  blockComment: 13,
  lineBreak: 14,
  trivia: 15,
  unknown: 16,
  end: 17,
} as const;

/** All tokens but white space. */
export function scan(text: string): Token[] {
  const scanner = createScanner(text, false);
  const tokens: Token[] = [];
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    if (kind === TOKEN.trivia) continue;
    const start = scanner.getTokenOffset();
    const torn = (scanner.getTokenError() as number) !== 0;
    tokens.push({ kind, start, end: start + scanner.getTokenLength(), torn });
  }
  return tokens;
}
