// Finds what excerpts must mask in a text that does not parse: all but keys, punctuation, and values that cannot be secrets.
import { isSecretArgument, isSecretName, urlSpans } from './excerpts.ts';
import { scan, type Span, TOKEN, type Token } from './tokens.ts';

/** Keys whose values excerpts show; any other value might be a secret. */
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

/** The spans to mask. */
export function unparsedSpans(text: string): Span[] {
  const tokens = scan(text);
  const lines = linesOf(tokens);
  const torn = new Set(lines.filter((_, index) => tokens[index]?.torn === true));
  const levels: Level[] = [];
  let key = '';
  return tokens.flatMap((token, index): Span[] => {
    if (token.kind === TOKEN.lineBreak) return [];
    if (token.kind <= TOKEN.colon) {
      key = afterPunctuation(token.kind, key, levels);
      return [];
    }
    const isTorn = torn.has(lines[index] ?? 0);
    if (isKey(tokens, index, isTorn)) {
      key = contentOf(text, token);
      return [];
    }
    const level = levels.at(-1);
    const listed = level?.list === true;
    const valued = listed || tokens[index - 1]?.kind === TOKEN.colon;
    const harmless = SHOWN.has(key) && level?.secret !== true;
    if (!valued || !harmless || isTorn || !isValue(token)) return [token];
    const content = contentOf(text, token);
    if (listed && isSecretArgument(content, argumentBefore(tokens, index, text))) return [token];
    return urlSpans(text.slice(token.start, token.end), token.start);
  });
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

function argumentBefore(tokens: readonly Token[], index: number, text: string): string {
  let at = index - 1;
  while (tokens[at]?.kind === TOKEN.comma || tokens[at]?.kind === TOKEN.lineBreak) at -= 1;
  const token = tokens[at];
  return token === undefined ? '' : contentOf(text, token);
}

/** The line of each token. */
function linesOf(tokens: readonly Token[]): number[] {
  let line = 0;
  return tokens.map(({ kind }) => (kind === TOKEN.lineBreak ? line++ : line));
}

function contentOf(text: string, { start, end }: Span): string {
  return text.slice(start, end).replace(/^"|"$/g, '');
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
