// Matches URIs against URI templates of resources (RFC 6570), in time linear in the URI for each part of the template.
import { BOUNDS } from '../core/bounds/bounds.ts';

export interface UriTemplate {
  /** The number of fixed characters: a template with more is more specific. */
  readonly literals: number;
  matches(uri: string): boolean;
}

/** Compiles a template. The value of a plain `{name}` has no slash; that of `{+name}`, `{#…}`, `{/…}`, `{?…}`, `{&…}` and `{name*}` may. */
export function compileTemplate(template: string): UriTemplate {
  const literals = template.split(/\{[^{}]*\}/);
  const crossing = [...template.matchAll(/\{([^{}]*)\}/g)].map((match) => crossesSlash(match[1] ?? ''));
  const fixed = literals.reduce((sum, part) => sum + part.length, 0);
  return {
    literals: fixed,
    matches: (uri) =>
      crossing.length <= BOUNDS.templateExpressions &&
      uri.length <= BOUNDS.templateUri &&
      matchParts(uri, literals, crossing),
  };
}

function crossesSlash(expression: string): boolean {
  return /^[+#/?&;.]/.test(expression) || expression.endsWith('*');
}

/**
 * Follows all possible matches at once: the places where the previous part may end. Following the first alone would not match
 * `{+path}/x{id}` with `p/xq/r/xs`.
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

/** The places where `literal` may end after a value that begins at one of `starts`; in ascending order, as `starts` are. */
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
    if (at === uri.length) break; // indexOf finds an empty literal at the end again and again
  }
  return ends;
}
