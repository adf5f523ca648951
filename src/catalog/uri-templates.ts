// Matching URIs against resource templates (RFC 6570), in time linear in the URI for each part of the template.

export interface UriTemplate {
  /** Characters that are fixed: the more, the more specific. */
  readonly literals: number;
  matches(uri: string): boolean;
}

/** Bounds of the work that one template can make; what is larger matches nothing. */
const MAX_EXPRESSIONS = 16;
const MAX_URI = 8_192;

/** Compiles a template. A plain `{name}` does not cross a slash; `{+name}`, `{#…}`, `{/…}`, `{?…}`, `{&…}` and `{name*}` may. */
export function compileTemplate(template: string): UriTemplate {
  const literals = template.split(/\{[^{}]*\}/);
  const crossing = [...template.matchAll(/\{([^{}]*)\}/g)].map((match) => crossesSlash(match[1] ?? ''));
  const fixed = literals.reduce((sum, part) => sum + part.length, 0);
  return {
    literals: fixed,
    matches: (uri) =>
      crossing.length <= MAX_EXPRESSIONS && uri.length <= MAX_URI && matchParts(uri, literals, crossing),
  };
}

function crossesSlash(expression: string): boolean {
  return /^[+#/?&;.]/.test(expression) || expression.endsWith('*');
}

/**
 * Follows every way to match at once: the places where the part before may have ended. Taking the first alone would miss
 * `{+path}/x{id}` in `p/xq/r/xs`.
 */
function matchParts(uri: string, [first = '', ...literals]: readonly string[], crossing: readonly boolean[]): boolean {
  if (!uri.startsWith(first)) return false;
  let ends = [first.length];
  for (const [index, mayCross] of crossing.entries()) {
    ends = nextEnds(uri, ends, { literal: literals[index] ?? '', mayCross });
    if (ends.length === 0) return false;
  }
  return ends.at(-1) === uri.length;
}

/** Where `literal` ends when any text from one of `starts` stands before it; in ascending order, as `starts` are. */
function nextEnds(
  uri: string,
  starts: readonly number[],
  { literal, mayCross }: { literal: string; mayCross: boolean },
): number[] {
  const ends: number[] = [];
  let slash = -1;
  let looked = 0;
  let next = 0;
  let latest = -1;
  const [earliest = 0] = starts;
  for (let at = uri.indexOf(literal, earliest); at !== -1; at = uri.indexOf(literal, at + 1)) {
    for (; next < starts.length && (starts[next] ?? at) <= at; next++) latest = starts[next] ?? latest;
    for (; looked < at; looked++) if (uri[looked] === '/') slash = looked;
    if (mayCross || latest > slash) ends.push(at + literal.length);
    if (at === uri.length) break; // an empty literal stands at the very end too, and there for ever
  }
  return ends;
}
