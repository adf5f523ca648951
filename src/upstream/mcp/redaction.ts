// Removes secrets and terminal escapes from the texts of a server.
import { isObject, type JsonValue } from '../../core/json.ts';
import type { RpcError } from '../../core/reply.ts';

/** Lines of a multi-line secret are redacted one by one from this length on; shorter ones (braces, headers) occur everywhere. */
const SECRET_LINE_MIN = 8;

/** Cleans what a server sends before anybody reads it: servers repeat in errors what they were sent. */
export class Redaction {
  private readonly spellings: readonly string[];

  /** The secrets in the entry of the server. */
  constructor(secrets: readonly string[]) {
    this.spellings = allSpellings(secrets);
  }

  /** A text for a message or the operator's screen or log, without escapes and secrets. */
  text(text: string): string {
    return redact(clean(text), this.spellings);
  }

  /** An error for callers, without secrets; the same object if the server has none. */
  error(error: RpcError): RpcError {
    return this.spellings.length === 0 ? error : redactedError(error, this.spellings);
  }
}

function redactedError({ code, message, data }: RpcError, secrets: readonly string[]): RpcError {
  return {
    code,
    message: redact(message, secrets),
    ...(data !== undefined && { data: redactedValue(data as JsonValue, secrets) }),
  };
}

/** The same value if it contains no secret. The parser bounds its depth. */
function redactedValue(value: JsonValue, secrets: readonly string[]): JsonValue {
  if (typeof value === 'string') return redact(value, secrets);
  if (Array.isArray(value)) {
    const items = value.map((item) => redactedValue(item, secrets));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isObject(value)) return value;
  const before = Object.entries(value);
  const after = before.map(([key, item]) => [redact(key, secrets), redactedValue(item ?? null, secrets)] as const);
  const isSame = after.every(([key, item], index) => key === before[index]?.[0] && item === before[index][1]);
  return isSame ? value : Object.fromEntries(after);
}

/** Every spelling of every secret, longest first. */
export function allSpellings(secrets: readonly string[]): string[] {
  return [...new Set(secrets.flatMap(spellingsOf))].sort((a, b) => b.length - a.length);
}

/** Terminal escapes: CSI, strings such as OSC (to their end, or that of the line), and the short ones. */
const ESCAPES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\u0007\u001b\n]*(?:\u0007|\u001b\\)?|[ -/]*[0-~]?)|\u009b[0-?]*[ -/]*[@-~]?/gu;
/** Control characters except tab and newline, and those that reorder or hide text on a screen. */
const UNPRINTABLE = /(?![\t\n])\p{Cc}|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/** A text without escapes, and without what hides or reorders it. */
export function clean(text: string): string {
  return text.replace(ESCAPES, '').replace(/\r\n?/gu, '\n').replace(UNPRINTABLE, '');
}

/** A secret as it may appear in a log: plain, in JSON, in a URL, and each line of one that has several. */
function spellingsOf(secret: string): string[] {
  const plain = clean(secret);
  // Through UTF-8 first: half a surrogate pair would make it throw.
  const inUrl = encodeURIComponent(Buffer.from(secret).toString());
  const lines = plain.split('\n').filter((line) => line.length >= SECRET_LINE_MIN);
  return [plain, JSON.stringify(secret).slice(1, -1), inUrl, ...lines].filter((text) => text !== '');
}

/** Replaces every stretch that is covered by secrets, so that of two that overlap nothing is left over. */
export function redact(text: string, secrets: readonly string[]): string {
  const found: { start: number; end: number }[] = [];
  for (const secret of secrets) {
    for (let start = text.indexOf(secret); start !== -1; start = text.indexOf(secret, start + 1)) {
      found.push({ start, end: start + secret.length });
    }
  }
  found.sort((a, b) => a.start - b.start);
  let result = '';
  let done = 0;
  for (const { start, end } of found) {
    if (start >= done) result += `${text.slice(done, start)}[redacted]`;
    done = Math.max(done, end);
  }
  return result + text.slice(done);
}
