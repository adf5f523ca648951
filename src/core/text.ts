// Cuts the texts of clients and servers before the gateway keeps them.

/** The first `most` characters of a text. It copies a longer text, since a slice would retain the whole text in memory. */
export function firstOf(text: string, most: number): string {
  return text.length <= most ? text : Buffer.from(text.slice(0, most)).toString();
}
