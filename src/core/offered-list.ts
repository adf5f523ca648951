// A list of what is offered, as it is paged and written: what is made of it is kept for as long as the list itself.
import type { Offered } from './reply.ts';

export class OfferedList {
  readonly entries: readonly Offered[];
  private split: readonly OfferedList[] | undefined;
  private readonly written = new Map<string, Buffer>();

  constructor(entries: readonly Offered[]) {
    this.entries = entries;
  }

  /** The entries to keep; this list where these are all. */
  filter(keep: (entry: Offered) => boolean): OfferedList {
    const kept = this.entries.filter(keep);
    return kept.length === this.entries.length ? this : new OfferedList(kept);
  }

  /** The list in pages of so many entries. The same number must be given every time. */
  pages(size: number): readonly OfferedList[] {
    if (this.entries.length <= size) return [this];
    return (this.split ??= Array.from(
      { length: Math.ceil(this.entries.length / size) },
      (_, index) => new OfferedList(this.entries.slice(index * size, (index + 1) * size)),
    ));
  }

  /** The entries as bytes of one form, which are written once. */
  bytes(form: string, write: (entries: readonly Offered[]) => string): Buffer {
    let bytes = this.written.get(form);
    if (!bytes) this.written.set(form, (bytes = Buffer.from(write(this.entries))));
    return bytes;
  }
}
