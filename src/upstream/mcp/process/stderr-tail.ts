// The end of what a process wrote to stderr: bounded, without escapes, without secrets.

const TAIL_BYTES = 64 * 1024;
const TAIL_LINES = 200;
/** A line of a multi-line secret is looked for by itself if it is this long; shorter ones (braces, headers) are everywhere. */
const SECRET_LINE_MIN = 8;

/** Keeps the end of stderr as bytes; they are cleaned only when somebody looks, so a flood costs no more than its copy. */
export class StderrTail {
  /** Every spelling of every secret, longest first. */
  readonly #secrets: readonly string[];
  #ring: Buffer | undefined;
  #total = 0;

  constructor(secrets: readonly string[]) {
    this.#secrets = allSpellings(secrets);
  }

  push(chunk: Buffer): void {
    this.#ring ??= Buffer.alloc(TAIL_BYTES);
    const kept = chunk.length > TAIL_BYTES ? chunk.subarray(-TAIL_BYTES) : chunk;
    const copied = kept.copy(this.#ring, (this.#total + chunk.length - kept.length) % TAIL_BYTES);
    kept.copy(this.#ring, 0, copied);
    this.#total += chunk.length;
  }

  lines(): string[] {
    const lines = redact(this.#text(), this.#secrets)
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '');
    return lines.slice(-TAIL_LINES);
  }

  #text(): string {
    if (this.#ring === undefined) return '';
    if (this.#total <= TAIL_BYTES) return clean(this.#ring.toString('utf8', 0, this.#total));
    const seam = this.#total % TAIL_BYTES;
    const text = clean(Buffer.concat([this.#ring.subarray(seam), this.#ring.subarray(0, seam)]).toString('utf8'));
    // The beginning may be the rest of a secret that no longer matches: it goes, to the end of its line or a secret's length.
    const lineEnd = text.indexOf('\n');
    return text.slice(lineEnd === -1 ? (this.#secrets[0]?.length ?? 0) : lineEnd + 1);
  }
}

/** Cleans single texts of a server as `StderrTail` cleans its stderr: no escapes, no secrets. */
export function textCleaner(secrets: readonly string[]): (text: string) => string {
  const spellings = allSpellings(secrets);
  return (text) => redact(clean(text), spellings);
}

function allSpellings(secrets: readonly string[]): string[] {
  return [...new Set(secrets.flatMap(spellingsOf))].sort((a, b) => b.length - a.length);
}

/** Terminal escapes: CSI, strings such as OSC (to their end, or that of the line), and the short ones. */
const ESCAPES =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\u0007\u001b\n]*(?:\u0007|\u001b\\)?|[ -/]*[0-~]?)|\u009b[0-?]*[ -/]*[@-~]?/gu;
/** Control characters except tab and newline, and those that reorder or hide text on a screen. */
const UNPRINTABLE = /(?![\t\n])\p{Cc}|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

function clean(text: string): string {
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
function redact(text: string, secrets: readonly string[]): string {
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
