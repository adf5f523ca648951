// The characters that every client accepts in the names of tools and prompts.

/** The text with `_` for every other character. */
export function plainName(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_');
}
