// The end of what a process wrote to stderr, without terminal escapes and secrets.

import { BOUNDS } from '../../../core/bounds/bounds.ts';
import { allSpellings, clean, redact } from '../redaction.ts';

const NEWLINE = 0x0a;

/** Keeps bytes and cleans them only when they are read, so that a flood costs no more than its copy. */
export class StderrTail {
  /** Every spelling of every secret, longest first. */
  readonly #secrets: readonly string[];
  #ring: Buffer | undefined;
  #total = 0;
  /** The offsets at which the chunks begin. */
  #chunks: number[] = [];
  #hidden: { readonly from: number; readonly to: number } | undefined;

  constructor(secrets: readonly string[]) {
    this.#secrets = allSpellings(secrets);
  }

  push(chunk: Buffer): void {
    this.#ring ??= Buffer.alloc(BOUNDS.stderrTail);
    if (this.#chunks.push(this.#total) > BOUNDS.stderrChunks) this.#chunks.shift();
    const kept = chunk.length > BOUNDS.stderrTail ? chunk.subarray(-BOUNDS.stderrTail) : chunk;
    const copied = kept.copy(this.#ring, (this.#total + chunk.length - kept.length) % BOUNDS.stderrTail);
    kept.copy(this.#ring, 0, copied);
    this.#total += chunk.length;
  }

  /** Hides what came so far, from the first chunk that mentions the word on; nothing if none does. */
  hideFrom(word: string): void {
    const { bytes, from } = this.#content();
    const at = bytes.indexOf(word);
    if (at === -1) return;
    const begin = this.#chunks.findLast((offset) => offset <= from + at) ?? from;
    this.#hidden = { from: begin, to: this.#total };
  }

  lines(): string[] {
    const lines = redact(this.#text(), this.#secrets)
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '');
    return lines.slice(-BOUNDS.stderrTailLines);
  }

  #text(): string {
    const { bytes, from } = this.#content();
    const text = clean(this.#shown(bytes, from).toString('utf8'));
    if (from === 0) return text;
    // The ring may have cut a secret in two: the first line, or the length of the longest secret, is left out.
    const lineEnd = text.indexOf('\n');
    return text.slice(lineEnd === -1 ? (this.#secrets[0]?.length ?? 0) : lineEnd + 1);
  }

  /** The kept bytes in their order, and the offset of the first. */
  #content(): { bytes: Buffer; from: number } {
    if (this.#ring === undefined) return { bytes: Buffer.alloc(0), from: 0 };
    if (this.#total <= BOUNDS.stderrTail) return { bytes: this.#ring.subarray(0, this.#total), from: 0 };
    const seam = this.#total % BOUNDS.stderrTail;
    const bytes = Buffer.concat([this.#ring.subarray(seam), this.#ring.subarray(0, seam)]);
    return { bytes, from: this.#total - BOUNDS.stderrTail };
  }

  /** The bytes without the hidden lines. Whole lines are left out, since a secret across the edge would show in part. */
  #shown(bytes: Buffer, from: number): Buffer {
    if (!this.#hidden || this.#hidden.to <= from) return bytes;
    const begin = Math.max(0, this.#hidden.from - from);
    const head = begin === 0 ? 0 : bytes.lastIndexOf(NEWLINE, begin - 1) + 1;
    const lineEnd = bytes.indexOf(NEWLINE, this.#hidden.to - from - 1);
    return Buffer.concat([bytes.subarray(0, head), bytes.subarray(lineEnd === -1 ? bytes.length : lineEnd + 1)]);
  }
}
