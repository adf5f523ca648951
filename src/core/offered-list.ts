// A list of offered things, which keeps its pages and its JSON for as long as it exists itself.
import type { Offered } from './reply.ts';

export class OfferedList {
  readonly entries: readonly Offered[];
  private split: readonly OfferedList[] | undefined;
  private readonly written = new Map<string, Buffer>();

  constructor(entries: readonly Offered[]) {
    this.entries = entries;
  }

  /** The list of the entries to keep; this list where it keeps all. */
  filter(keep: (entry: Offered) => boolean): OfferedList {
    const kept = this.entries.filter(keep);
    return kept.length === this.entries.length ? this : new OfferedList(kept);
  }

  /** The list in pages of so many entries. Every call must give the same number. */
  pages(size: number): readonly OfferedList[] {
    if (this.entries.length <= size) return [this];
    return (this.split ??= Array.from(
      { length: Math.ceil(this.entries.length / size) },
      (_, index) => new OfferedList(this.entries.slice(index * size, (index + 1) * size)),
    ));
  }

  /** The bytes of the entries in one form. It calls `write` once for each form. */
  bytes(form: string, write: (entries: readonly Offered[]) => string): Buffer {
    let bytes = this.written.get(form);
    if (!bytes) this.written.set(form, (bytes = Buffer.from(write(this.entries))));
    return bytes;
  }
}
