// One line of a file with a caret under it, secrets masked: what a problem shows of the text around it.
import { createScanner, type Node } from 'jsonc-parser';
import { nearest } from './problems.ts';

/** A stretch of the text that must not be shown, and where it may keep its references. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The token kinds of jsonc-parser, whose own enum cannot be used by isolated modules. */
export const TOKEN = {
  openBrace: 1,
  closeBrace: 2,
  openBracket: 3,
  closeBracket: 4,
  comma: 5,
  colon: 6,
  string: 10,
  lineComment: 12,
  blockComment: 13,
  lineBreak: 14,
  trivia: 15,
  unknown: 16,
  end: 17,
} as const;

const WIDTH = 100;
const SECRET_OBJECTS = ['env', 'headers', 'oauth'];
const SECRET_KEYS =
  /(secret|token|passw(or)?d|passphrase|api[-_]?key|credentials?|authorization|private[-_]?key|cookie)$/i;
/** Arguments that carry a secret: `--api-key=…`, or the one after `--token`. */
const SECRET_PAIR = /^([\w-]+)=/;
const HEADER_FLAG = /^(-H|--headers?)$/;
const SECRET_FLAG = /^--?[\w-]*(secret|token|passw(or)?d|api[-_]?key|credentials?|auth|authorization)(?==|$)/i;

/** The line at an offset and a caret line; long lines are cut around the caret. */
export function excerptAt(text: string, offset: number, hidden: readonly Span[]): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline === -1 ? text.length : newline;
  const from = Math.max(start, Math.min(offset - WIDTH / 2, end - WIDTH));
  const to = Math.min(end, from + WIDTH);
  const shown = maskSpans(text.slice(from, to), from, hidden).replace(/\r$/, '');
  const before = from > start ? '…' : '';
  const caret = `${before}${shown.slice(0, offset - from)}`.replace(/[^\t]/g, ' ');
  return `${before}${shown}${to < end ? '…' : ''}\n${caret}^`;
}

/** What to hide in a text whose structure is known: values under secret keys, credentials in URLs, comments. */
export function secretSpans(text: string, root: Node): Span[] {
  return [...comments(text), ...valueSpans(text, root, false)].sort((a, b) => a.start - b.start);
}

/** What to hide in a text that does not parse: everything but keys and punctuation, as nothing is known about the rest. */
export function unparsedSpans(text: string): Span[] {
  const tokens = scan(text);
  const spans: Span[] = [];
  tokens.forEach((token, index) => {
    if (token.kind <= TOKEN.colon || token.kind === TOKEN.lineBreak) return;
    if (!isKey(tokens, index)) spans.push({ start: token.start, end: token.end });
  });
  return spans;
}

/** Takes credentials and query values out of a URL that may contain references. */
export function safeUrl(url: string): string {
  return url
    .replace(/#.*$/s, '')
    .replace(/\/\/[^/?\s]*@/g, '//')
    .replace(/\?(.*)$/s, (_, query: string) => `?${query.split('&').map(safePair).join('&')}`);
}

/** Takes out the arguments that look like secrets, by the flag that they belong to. */
export function safeArgs(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    if (maskText(arg) === arg) return arg;
    const before = args[index - 1] ?? '';
    if (SECRET_FLAG.test(arg) || SECRET_KEYS.test(SECRET_PAIR.exec(arg)?.[1] ?? ''))
      return arg.replace(/=.*$/s, '=***');
    if (SECRET_FLAG.test(before) && !before.includes('=') && !arg.startsWith('-')) return '***';
    if (HEADER_FLAG.test(before)) return arg.replace(/(?<=[:=]).*$/s, ' ***');
    return /^https?:\/\//.test(arg) ? safeUrl(arg) : arg;
  });
}

function safePair(pair: string): string {
  const equals = pair.indexOf('=');
  return equals === -1 ? '***' : `${pair.slice(0, equals)}=***`;
}

function maskSpans(shown: string, from: number, hidden: readonly Span[]): string {
  let result = shown;
  for (const span of hidden) {
    const start = Math.max(0, span.start - from);
    const end = Math.min(shown.length, span.end - from);
    if (start >= end) continue;
    result = result.slice(0, start) + maskText(shown.slice(start, end)) + result.slice(end);
  }
  return result;
}

/** Stars of the same length; quotes and the names of references stay, as they are what messages speak of. */
function maskText(text: string): string {
  const kept = /\$\{(?:env:|file:)?[^}:]*\}|\$\{(?:env:)?\w+:-|["'\r\t]/g;
  let result = '';
  let position = 0;
  for (const match of text.matchAll(kept)) {
    result += '*'.repeat(match.index - position) + match[0];
    position = match.index + match[0].length;
  }
  return result + '*'.repeat(text.length - position);
}

function comments(text: string): Span[] {
  return scan(text)
    .filter(({ kind }) => kind === TOKEN.lineComment || kind === TOKEN.blockComment)
    .map(({ start, end }) => ({ start, end }));
}

function valueSpans(text: string, node: Node, secret: boolean): Span[] {
  if (node.type === 'array') return arraySpans(text, node, secret);
  if (node.type === 'object') return (node.children ?? []).flatMap((property) => propertySpans(text, property, secret));
  if (secret) return [spanOf(node)];
  return typeof node.value === 'string' && node.value.includes('://') ? urlSpans(text, node) : [];
}

/** A key that is nearly `env` or `headers` is what the problem may be about, and its values are as secret. */
function propertySpans(text: string, property: Node, secret: boolean): Span[] {
  const [key, value] = property.children ?? [];
  if (key === undefined || value === undefined) return [];
  const name = String(key.value);
  const within = SECRET_KEYS.test(name) || nearest(name, SECRET_OBJECTS) !== undefined;
  return valueSpans(text, value, secret || within);
}

function arraySpans(text: string, node: Node, secret: boolean): Span[] {
  const items = node.children ?? [];
  const args = items.map((item) => (typeof item.value === 'string' ? item.value : ''));
  const safe = safeArgs(args);
  return items.flatMap((item, index) => valueSpans(text, item, secret || safe[index] !== args[index]));
}

function urlSpans(text: string, node: Node): Span[] {
  const literal = text.slice(node.offset, node.offset + node.length);
  const spans: Span[] = [];
  const user = /\/\/[^/?#\s]*@/.exec(literal);
  if (user !== null)
    spans.push({ start: node.offset + user.index + 2, end: node.offset + user.index + user[0].length - 1 });
  for (const match of literal.matchAll(/(?<=[?&][^=&#]*=|[?#])[^=&#"]+(?=[&#"]|$)|#[^"]*/g)) {
    spans.push({ start: node.offset + match.index, end: node.offset + match.index + match[0].length });
  }
  return spans;
}

function spanOf(node: Node): Span {
  return { start: node.offset, end: node.offset + node.length };
}

interface Token extends Span {
  readonly kind: number;
}

function scan(text: string): Token[] {
  const scanner = createScanner(text, false);
  const tokens: Token[] = [];
  for (let kind: number = scanner.scan(); kind !== TOKEN.end; kind = scanner.scan()) {
    const start = scanner.getTokenOffset();
    if (kind !== TOKEN.trivia) tokens.push({ kind, start, end: start + scanner.getTokenLength() });
  }
  return tokens;
}

/** A key stands before a colon, and after a brace, a comma or a line break; after a colon it would be a value. */
function isKey(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1]?.kind ?? TOKEN.openBrace;
  const opens = before === TOKEN.openBrace || before === TOKEN.comma || before === TOKEN.lineBreak;
  const kind = tokens[index]?.kind;
  const named = kind === TOKEN.string || kind === TOKEN.unknown;
  return named && opens && tokens[index + 1]?.kind === TOKEN.colon;
}
