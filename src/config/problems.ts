// What can be wrong with a configuration, and how it is said: a place, a message, and the line with a caret.

/** A path of keys and indexes from the top of a file. */
export type Path = readonly (string | number)[];

/** One thing that is wrong, at a place that an editor can jump to. `line` and `column` count from 1. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  /** The only server that it concerns. */
  readonly server?: string;
  /** The line of the file and a caret line; secrets are masked. */
  readonly excerpt?: string;
}

/** The configuration cannot be found or used; the message is complete and safe to print. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[] = []) {
    super(message);
    this.problems = problems;
  }
}

/** `file:line:column path message`, then the line and its caret when there is one. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, severity, message, excerpt } = problem;
  const words = [`${file}:${line}:${column}`, path, severity === 'warning' ? `warning: ${message}` : message];
  const head = words.filter((word) => word !== '').join(' ');
  const lines = excerpt === undefined ? [] : excerpt.split('\n').map((text) => `  ${text}`);
  return [head, ...lines].map(printable).join('\n');
}

/** A path as people write it: `auth.tokens[0].token`, `mcpServers["my server"]`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!/^[\w$-]+$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** Tells whether a path is another one or leads on from it. */
export function isWithin(path: Path, base: Path): boolean {
  return path.length >= base.length && base.every((part, index) => part === path[index]);
}

/** The closest of the known words, if it is close enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best === undefined || best.distance > Math.max(1, Math.floor(best.candidate.length / 3))) return undefined;
  return best.candidate;
}

/** `; did you mean "x"?`, or nothing when no known word is close. */
export function didYouMean(word: string, known: readonly string[]): string {
  const match = nearest(word, known);
  return match === undefined ? '' : `; did you mean ${JSON.stringify(match)}?`;
}

/** Levenshtein's distance, with a swap of two neighbours counted as one edit. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const edits = [at(previous, j) + 1, at(current, j - 1) + 1, at(previous, j - 1) + (same ? 0 : 1)];
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits.push(at(before, j - 2) + 1);
      current.push(Math.min(...edits));
    }
    before = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}

/** File content reaches a terminal here: control and direction characters must not act on it. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u00b7');
}
