// Texts of others, cut where they are kept.

/** The first characters of a text, `most` of them: a copy where it is longer, since a slice would keep the whole in memory. */
export function firstOf(text: string, most: number): string {
  return text.length <= most ? text : Buffer.from(text.slice(0, most)).toString();
}
