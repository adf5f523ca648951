// The excerpt that a problem shows: one line of the file with a caret under it, secrets masked.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { nearest } from './problems.ts';

/** A part of a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const SECRET_OBJECTS = ['env', 'environment', 'headers', 'oauth'];
const SECRET_KEYS =
  /(secret|token|passw(or)?d|passphrase|api[-_]?key|[-_]key|credentials?|authorization|private[-_]?key|cookie)$/i;
/** Arguments that carry a secret: `--api-key=…`, or the one after `--token`. */
const SECRET_PAIR = /^([\w-]+)=/;
const HEADER_FLAG = /^(-H|--headers?)$/;
const SECRET_FLAG = /^--?[\w-]*(secret|token|passw(or)?d|api[-_]?key|credentials?|auth|authorization)(?==|$)/i;

/** Tells whether the value of this key is a secret. A misspelt `env` or `headers` counts too, as a problem may be about that key. */
export function isSecretName(name: string): boolean {
  return SECRET_KEYS.test(name) || nearest(name, SECRET_OBJECTS) !== undefined;
}

/** The line at an offset and a caret line; long lines are cut around the caret. */
export function excerptAt(text: string, offset: number, hidden: readonly Span[]): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline === -1 ? text.length : newline;
  const width = BOUNDS.problemExcerpt;
  const from = Math.max(start, Math.min(offset - width / 2, end - width));
  const to = Math.min(end, from + width);
  const shown = maskSpans(text.slice(from, to), from, hidden).replace(/\r$/, '');
  const before = from > start ? '…' : '';
  const caret = `${before}${shown.slice(0, offset - from)}`.replace(/[^\t]/g, ' ');
  return `${before}${shown}${to < end ? '…' : ''}\n${caret}^`;
}

/** Removes credentials and query values from a URL that may contain references. */
export function safeUrl(url: string): string {
  return url
    .replace(/#.*$/s, '')
    .replace(/\/\/[^/?\s]*@/g, '//')
    .replace(/\?(.*)$/s, (_, query: string) => `?${query.split('&').map(safePair).join('&')}`);
}

/** Masks the arguments that look like secrets, by the flag that they belong to. */
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

/** Tells whether an argument is or contains a secret, judged by itself and by the argument before it. */
export function isSecretArgument(arg: string, before: string): boolean {
  return safeArgs([before, arg])[1] !== arg;
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

/** Stars of the same length; quotes and the names of references stay, since messages are about these. */
function maskText(text: string): string {
  const kept = /\$?\{(?:env|file|input):[^}:]*\}|\$\{[^}:]*\}|\$\{(?:env:)?\w+:-|\b(?:Bearer|Basic) |["'\r\t]/g;
  let result = '';
  let position = 0;
  for (const match of text.matchAll(kept)) {
    result += '*'.repeat(match.index - position) + match[0];
    position = match.index + match[0].length;
  }
  return result + '*'.repeat(text.length - position);
}

/** The spans of credentials and query values in a URL that begins at an offset. */
export function urlSpans(literal: string, offset: number): Span[] {
  const spans: Span[] = [];
  const user = /\/\/[^/?#\s]*@/.exec(literal);
  if (user !== null) spans.push({ start: offset + user.index + 2, end: offset + user.index + user[0].length - 1 });
  for (const match of literal.matchAll(/(?<=[?&][^=&#]*=|[?#])[^=&#"]+(?=[&#"]|$)|#[^"]*/g)) {
    spans.push({ start: offset + match.index, end: offset + match.index + match[0].length });
  }
  return spans;
}
