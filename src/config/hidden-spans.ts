// Finds what excerpts must mask, by the tokens of a text, so that it is found in a text that does not parse too.
import { createScanner } from 'jsonc-parser';
import { isSecretArgument, isSecretName, type Span, urlSpans } from './excerpts.ts';

/** One token; `torn`: the scanner found an error in it, such as a missing quote. A string's `value` is its content. */
interface Token extends Span {
  readonly kind: number;
  readonly value: string;
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

/** The tokens of JSON with comments, without white space in lines. */
export function* scan(text: string): Iterable<Token> {
  const scanner = createScanner(text, false);
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    if (kind === TOKEN.trivia) continue;
    const start = scanner.getTokenOffset();
    const torn = (scanner.getTokenError() as number) !== 0;
    yield { kind, value: scanner.getTokenValue(), start, end: start + scanner.getTokenLength(), torn };
  }
}

/** In a text that does not parse, the keys whose values excerpts show; any other value might be a secret. */
const SHOWN = new Set(
  'command args cwd type transport url serverUrl httpUrl alias name disabled enabled timeout host port isolation allow deny tools $schema'.split(
    ' ',
  ),
);

/** An open object or list, its key, and whether everything in it is secret. */
interface Level {
  readonly key: string;
  readonly list: boolean;
  readonly secret: boolean;
}

/**
 * The spans to mask. In a text that parses, these are comments, the values of secret keys, secret arguments, and credentials in URLs. In
 * another text, all but keys, punctuation, and values that cannot be secrets.
 */
export function hiddenSpans(text: string, { parses }: { readonly parses: boolean }): Span[] {
  const all = [...scan(text)];
  const isComment = ({ kind }: Token) => kind === TOKEN.lineComment || kind === TOKEN.blockComment;
  const tokens = all.filter((token) => !isComment(token) && !(parses && token.kind === TOKEN.lineBreak));
  const lines = linesOf(tokens);
  const torn = new Set(lines.filter((_, index) => tokens[index]?.torn === true));
  const levels: Level[] = [];
  let key = '';
  const values = tokens.flatMap((token, index): Span[] => {
    if (token.kind === TOKEN.lineBreak) return [];
    if (token.kind <= TOKEN.colon) {
      key = afterPunctuation(token.kind, key, levels);
      return [];
    }
    const isTorn = torn.has(lines[index] ?? 0);
    if (isKey(tokens, index, isTorn)) {
      key = token.value;
      return [];
    }
    const value = { key, level: levels.at(-1), tokens, index, parses };
    if (isTorn || isSecretValue(token, value)) return [token];
    const mayBeUrl = !parses || token.value.includes('://');
    return mayBeUrl ? urlSpans(text.slice(token.start, token.end), token.start) : [];
  });
  return [...all.filter(isComment), ...values];
}

/** Where a token stands that is no key. */
interface ValuePlace {
  readonly key: string;
  readonly level: Level | undefined;
  readonly tokens: readonly Token[];
  readonly index: number;
  readonly parses: boolean;
}

function isSecretValue(token: Token, { key, level, tokens, index, parses }: ValuePlace): boolean {
  const listed = level?.list === true;
  const valued = listed || tokens[index - 1]?.kind === TOKEN.colon;
  const harmless = level?.secret !== true && (parses ? !isSecretName(key) : SHOWN.has(key));
  if (!valued || !harmless || !isValue(token)) return true;
  return listed && isSecretArgument(token.value, argumentBefore(tokens, index));
}

/** Opens and closes levels; returns the key of the next value. */
function afterPunctuation(kind: number, key: string, levels: Level[]): string {
  if (kind === TOKEN.colon) return key;
  if (kind === TOKEN.openBrace || kind === TOKEN.openBracket) {
    const secret = levels.at(-1)?.secret === true || isSecretName(key);
    levels.push({ key, list: kind === TOKEN.openBracket, secret });
  }
  if (kind === TOKEN.closeBrace || kind === TOKEN.closeBracket) levels.pop();
  const level = levels.at(-1);
  return level?.list === true ? level.key : '';
}

function isValue({ kind }: Token): boolean {
  return kind > TOKEN.colon && kind <= TOKEN.number;
}

function argumentBefore(tokens: readonly Token[], index: number): string {
  let at = index - 1;
  while (tokens[at]?.kind === TOKEN.comma || tokens[at]?.kind === TOKEN.lineBreak) at -= 1;
  return tokens[at]?.value ?? '';
}

/** The line of each token. */
function linesOf(tokens: readonly Token[]): number[] {
  let line = 0;
  return tokens.map(({ kind }) => (kind === TOKEN.lineBreak ? line++ : line));
}

/** A key is before a colon, and after a brace, a comma or a line break; where a comma is missing, after a value. */
function isKey(tokens: readonly Token[], index: number, torn: boolean): boolean {
  if (tokens[index + 1]?.kind !== TOKEN.colon) return false;
  const kind = tokens[index]?.kind;
  const before = tokens[index - 1]?.kind ?? TOKEN.openBrace;
  const opens = before === TOKEN.openBrace || before === TOKEN.comma || before === TOKEN.lineBreak;
  if (opens) return kind === TOKEN.string || kind === TOKEN.unknown;
  const closes = before === TOKEN.closeBrace || before === TOKEN.closeBracket;
  const follows = closes || (before > TOKEN.colon && tokens[index - 2]?.kind === TOKEN.colon);
  return kind === TOKEN.string && follows && !torn;
}
