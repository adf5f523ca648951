// Name patterns: `*` stands for any run of characters; everything else for itself.

/** Compiles patterns to one test. Linear in the name: no pattern can make it backtrack. */
export function compilePatterns(patterns: readonly string[]): (name: string) => string | undefined {
  const compiled = patterns.map((pattern) => ({ pattern, parts: pattern.split('*') }));
  return (name) => compiled.find(({ parts }) => matches(parts, name))?.pattern;
}

function matches(parts: readonly string[], name: string): boolean {
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return name === first;
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
