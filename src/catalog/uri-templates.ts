// Matching URIs against resource templates (RFC 6570), in time linear in the URI.

export interface UriTemplate {
  /** Characters that are fixed: the more, the more specific. */
  readonly literals: number;
  matches(uri: string): boolean;
}

/** Compiles a template. A plain `{name}` does not cross a slash; `{+name}`, `{#…}`, `{/…}`, `{?…}`, `{&…}` and `{name*}` may. */
export function compileTemplate(template: string): UriTemplate {
  const literals = template.split(/\{[^{}]*\}/);
  const expressions = [...template.matchAll(/\{([^{}]*)\}/g)].map((match) => crossesSlash(match[1] ?? ''));
  const fixed = literals.reduce((sum, part) => sum + part.length, 0);
  return { literals: fixed, matches: (uri) => matchParts(uri, literals, expressions) };
}

function crossesSlash(expression: string): boolean {
  return /^[+#/?&;.]/.test(expression) || expression.endsWith('*');
}

function matchParts(uri: string, literals: readonly string[], crosses: readonly boolean[]): boolean {
  const [first = ''] = literals;
  if (!uri.startsWith(first)) return false;
  if (crosses.length === 0) return uri === first;
  let at = first.length;
  for (const [index, mayCross] of crosses.entries()) {
    const literal = literals[index + 1] ?? '';
    const last = index === crosses.length - 1;
    const end = last ? uri.length - literal.length : literal === '' ? at : uri.indexOf(literal, at);
    if (end < at || (last && !uri.endsWith(literal))) return false;
    if (!mayCross && uri.slice(at, end).includes('/')) return false;
    at = end + literal.length;
  }
  return true;
}
