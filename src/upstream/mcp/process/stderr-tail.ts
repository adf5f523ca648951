// The end of what a process wrote to stderr: bounded, without escapes, without secrets.

const TAIL_BYTES = 64 * 1024;
const TAIL_LINES = 200;
/** Most pieces of stderr whose beginnings are known. */
const MOST_PIECES = 256;
const NEWLINE = 0x0a;
/** A line of a multi-line secret is looked for by itself if it is this long; shorter ones (braces, headers) are everywhere. */
const SECRET_LINE_MIN = 8;

/** Keeps the end of stderr as bytes; they are cleaned only when somebody looks, so a flood costs no more than its copy. */
export class StderrTail {
  /** Every spelling of every secret, longest first. */
  readonly #secrets: readonly string[];
  #ring: Buffer | undefined;
  #total = 0;
  /** Where the pieces begin that have come. */
  #pieces: number[] = [];
  #hidden: { readonly from: number; readonly to: number } | undefined;

  constructor(secrets: readonly string[]) {
    this.#secrets = allSpellings(secrets);
  }

  push(chunk: Buffer): void {
    this.#ring ??= Buffer.alloc(TAIL_BYTES);
    if (this.#pieces.push(this.#total) > MOST_PIECES) this.#pieces.shift();
    const kept = chunk.length > TAIL_BYTES ? chunk.subarray(-TAIL_BYTES) : chunk;
    const copied = kept.copy(this.#ring, (this.#total + chunk.length - kept.length) % TAIL_BYTES);
    kept.copy(this.#ring, 0, copied);
    this.#total += chunk.length;
  }

  /** Hides what was said of something up to now: from the piece that mentions it first. Nothing where it is not mentioned. */
  hideSaidOf(word: string): void {
    const { bytes, from } = this.#content();
    const at = bytes.indexOf(word);
    if (at === -1) return;
    const begin = this.#pieces.findLast((piece) => piece <= from + at) ?? from;
    this.#hidden = { from: begin, to: this.#total };
  }

  lines(): string[] {
    const lines = redact(this.#text(), this.#secrets)
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '');
    return lines.slice(-TAIL_LINES);
  }

  #text(): string {
    const { bytes, from } = this.#content();
    const text = clean(this.#shown(bytes, from).toString('utf8'));
    if (from === 0) return text;
    // The beginning may be the rest of a secret that no longer matches: it goes, to the end of its line or a secret's length.
    const lineEnd = text.indexOf('\n');
    return text.slice(lineEnd === -1 ? (this.#secrets[0]?.length ?? 0) : lineEnd + 1);
  }

  /** What is kept, in its order, and how much came before it. */
  #content(): { bytes: Buffer; from: number } {
    if (this.#ring === undefined) return { bytes: Buffer.alloc(0), from: 0 };
    if (this.#total <= TAIL_BYTES) return { bytes: this.#ring.subarray(0, this.#total), from: 0 };
    const seam = this.#total % TAIL_BYTES;
    const bytes = Buffer.concat([this.#ring.subarray(seam), this.#ring.subarray(0, seam)]);
    return { bytes, from: this.#total - TAIL_BYTES };
  }

  /** Without what is hidden, by whole lines: a secret that stands across its edge would show in part. */
  #shown(bytes: Buffer, from: number): Buffer {
    if (!this.#hidden || this.#hidden.to <= from) return bytes;
    const begin = Math.max(0, this.#hidden.from - from);
    const head = begin === 0 ? 0 : bytes.lastIndexOf(NEWLINE, begin - 1) + 1;
    const lineEnd = bytes.indexOf(NEWLINE, this.#hidden.to - from - 1);
    return Buffer.concat([bytes.subarray(0, head), bytes.subarray(lineEnd === -1 ? bytes.length : lineEnd + 1)]);
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
