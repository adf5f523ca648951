// A problem of a configuration and its text: a place, a message, and the line with a caret.
import { BOUNDS } from '../core/bounds/bounds.ts';

/** A path of keys and indexes from the top of a file. */
export type Path = readonly (string | number)[];

/** A problem at a place that an editor can jump to. `line` and `column` count from 1. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  /** The server that it concerns; absent where it concerns more than one. */
  readonly server?: string;
  /** The line of the file and a caret line; secrets are masked. */
  readonly excerpt?: string;
}

/** Thrown where the configuration cannot be found or used; its message is complete and safe to print. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[] = []) {
    super(message);
    this.problems = problems;
  }
}

/** `file:line:column path message`, then the excerpt, if there is one. */
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

/** Tells whether a path equals another one or continues it. */
export function isWithin(path: Path, base: Path): boolean {
  return path.length >= base.length && base.every((part, index) => part === path[index]);
}

/** The most similar known word, if it is similar enough to be the intended one. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > BOUNDS.suggestedWord) return undefined;
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best === undefined || best.distance > Math.max(1, Math.floor(best.candidate.length / 3))) return undefined;
  return best.candidate;
}

/** `; did you mean "x"?`, or an empty text where no known word is similar. */
export function didYouMean(word: string, known: readonly string[]): string {
  const match = nearest(word, known);
  return match === undefined ? '' : `; did you mean ${JSON.stringify(match)}?`;
}

/** The Levenshtein distance; a swap of two neighbouring characters counts as one edit. */
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

/** Replaces control and direction characters: the text has content of files and goes to a terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u00b7');
}
