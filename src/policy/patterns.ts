// Name patterns: `*` matches any characters, every other character itself.

/** Returns the index of the first pattern that matches a name; undefined where none does. */
export type Matcher = (name: string) => number | undefined;

interface Wildcard {
  readonly index: number;
  readonly parts: readonly string[];
}

/**
 * Compiles patterns into one matcher. It looks up patterns without `*`, and tries the others in order, each in time linear in the name,
 * without backtracking.
 */
export function compilePatterns(patterns: readonly string[]): Matcher {
  const literals = new Map<string, number>();
  const wildcards: Wildcard[] = [];
  patterns.forEach((pattern, index) => {
    if (pattern.includes('*')) wildcards.push({ index, parts: pattern.split('*') });
    else if (!literals.has(pattern)) literals.set(pattern, index);
  });
  return (name) => {
    const literal = literals.get(name);
    for (const { index, parts } of wildcards) {
      if (literal !== undefined && index > literal) break;
      if (matches(parts, name)) return index;
    }
    return literal;
  };
}

/** The indexes of the patterns that match none of the names. */
export function findUnmatched(patterns: readonly string[], names: ReadonlySet<string>): number[] {
  const all = [...names];
  const isMatched = (pattern: string) => {
    if (!pattern.includes('*')) return names.has(pattern);
    const parts = pattern.split('*');
    return all.some((name) => matches(parts, name));
  };
  return patterns.flatMap((pattern, index) => (isMatched(pattern) ? [] : [index]));
}

function matches(parts: readonly string[], name: string): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop() ?? '';
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
