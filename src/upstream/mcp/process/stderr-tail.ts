// The end of what a process wrote to stderr: bounded, without escapes, without secrets.

import { allSpellings, clean, redact } from '../redaction.ts';

const TAIL_BYTES = 64 * 1024;
const TAIL_LINES = 200;

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
