// Parses a file of JSON with comments, and finds the line and column of each part of its value.
import { findNodeAtLocation, type Node, type ParseError, parseTree } from 'jsonc-parser';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { excerptAt, type Span } from './excerpts.ts';
import { hiddenSpans, scan, TOKEN } from './hidden-spans.ts';
import { formatPath, type Path, type Problem } from './problems.ts';

/** A finding about a value, without its line and column. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly severity?: 'error' | 'warning';
  /** Points at the key instead of the value. */
  readonly atKey?: boolean;
  /** Points at the first occurrence of this text inside the value. */
  readonly within?: string;
  /** Points at this offset instead of at the path. */
  readonly offset?: number;
}

/** A parsed file. With a `root` of undefined the file cannot be used, and `problems` is not empty. */
export interface Document {
  readonly file: string;
  readonly text: string;
  readonly root: Node | undefined;
  readonly value: JsonValue | undefined;
  /** Syntax errors. */
  readonly problems: readonly Problem[];
  /** Keys that occur twice (the first counts), and the key `__proto__`. */
  readonly refused: readonly Finding[];
  /** The spans that excerpts must mask. */
  readonly hidden: readonly Span[];
  /** The offset of each line. */
  readonly lines: readonly number[];
}

/** A place in a file, counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

const SYNTAX: Readonly<Record<number, string>> = {
  1: 'this is not JSON',
  2: 'this is not a number',
  3: 'a key in double quotes is expected here',
  4: 'a value is expected here',
  5: 'a colon is expected here',
  6: 'a comma is expected here',
  7: 'a closing brace } is missing',
  8: 'a closing bracket ] is missing',
  9: 'the file should end here',
  10: 'this comment is not valid',
  11: 'the comment is not closed',
  12: 'the string is not closed',
  13: 'the number is not complete',
  14: 'the \\u escape is not valid',
  15: 'the escape is not valid; a backslash is written \\\\',
  16: 'a control character must be written as an escape',
};

/** Parses a file: allows comments, trailing commas and a byte order mark; refuses keys that occur twice. */
export function parseDocument(file: string, raw: string): Document {
  const text = raw.startsWith('\ufeff') ? raw.slice(1) : raw;
  const lines = lineStarts(text);
  const errors: ParseError[] = [];
  const deep = tooDeep(text);
  const root = deep ? undefined : parseTree(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  if (root === undefined || errors.length > 0) {
    const nothing = { offset: 0, message: 'the file is empty; the least that it can hold is {}' };
    const faults = deep ? [deep] : errors.length > 0 ? syntaxFaults(text, errors) : [nothing];
    const hidden = hiddenSpans(text, { parses: false });
    const broken = { file, text, root: undefined, value: undefined, problems: [], refused: [], hidden, lines };
    return { ...broken, problems: faults.map((fault) => problemAt(broken, { ...fault, path: [] })) };
  }
  const refused: RefusedKey[] = [];
  const value = valueOf(root, [], refused);
  const hidden = hiddenSpans(text, { parses: true });
  const document: Document = { file, text, root, value, problems: [], refused: [], hidden, lines };
  return { ...document, refused: refused.map((key) => refusal(document, key)) };
}

/** The problem for a finding. A path that is not in the file gets the place of its nearest parent. */
export function problemAt(document: Document, finding: Finding, server?: string): Problem {
  const offset = offsetOf(document, finding);
  return {
    severity: finding.severity ?? 'error',
    file: document.file,
    ...position(document, offset),
    path: formatPath(finding.path),
    message: finding.message,
    ...(server === undefined ? {} : { server }),
    excerpt: excerptAt(document.text, offset, document.hidden),
  };
}

/** The place of a path. */
export function positionAt(document: Document, finding: Omit<Finding, 'message'>): Position {
  return position(document, offsetOf(document, finding));
}

/** A problem of a file as a whole. */
export function fileProblem(file: string, message: string, severity: Problem['severity'] = 'error'): Problem {
  return { severity, file, line: 1, column: 1, path: '', message };
}

interface RefusedKey {
  readonly path: Path;
  readonly offset: number;
}

function refusal(document: Document, { path, offset }: RefusedKey): Finding {
  if (path.at(-1) === '__proto__') return { path, offset, message: 'this key is not allowed' };
  const first = positionAt(document, { path, atKey: true });
  return {
    path,
    offset,
    message: `the key occurs twice; the first is at ${document.file}:${first.line}:${first.column}`,
  };
}

function offsetOf(document: Document, finding: Omit<Finding, 'message'>): number {
  if (finding.offset !== undefined) return finding.offset;
  const node = nodeAt(document, finding.path);
  if (node === undefined) return 0;
  const property = node.parent?.type === 'property' ? node.parent : undefined;
  const container = node.type === 'object' || node.type === 'array';
  if (property !== undefined && (finding.atKey === true || container)) return property.offset;
  const inside = finding.within === undefined ? -1 : document.text.indexOf(finding.within, node.offset);
  return inside !== -1 && inside < node.offset + node.length ? inside : node.offset;
}

function nodeAt({ root }: Document, path: Path): Node | undefined {
  if (root === undefined) return undefined;
  for (let length = path.length; length >= 0; length -= 1) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node !== undefined) return node;
  }
  return root;
}

function position({ lines }: Document, offset: number): Position {
  let low = 0;
  for (let high = lines.length; high - low > 1;) {
    const middle = (low + high) >>> 1;
    if ((lines[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return { line: low + 1, column: offset - (lines[low] ?? 0) + 1 };
}

function lineStarts(text: string): number[] {
  return [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
}

/** What is wrong with a text that does not parse. */
interface SyntaxFault {
  readonly offset: number;
  readonly message: string;
}

/** The first faults, one a place: of several at one place the first says the most. */
function syntaxFaults(text: string, errors: readonly ParseError[]): SyntaxFault[] {
  const places = new Map(errors.toReversed().map((error) => [error.offset, error]));
  return [...places.values()]
    .reverse()
    .slice(0, BOUNDS.syntaxProblems)
    .map((error) => ({ offset: Math.min(error.offset, text.length), message: describe(text, error) }));
}

function describe(text: string, { error, offset }: ParseError): string {
  const message = SYNTAX[error as number] ?? 'this is not JSON';
  const character = text.charAt(offset);
  if (/[\u2018\u2019\u201c\u201d]/.test(character)) return 'typographic quotes are not JSON; write "';
  if (character === "'") return 'single quotes are not JSON; write "';
  return /^[\w-]{1,64}\s*:/.test(text.slice(offset, offset + 80)) ? (SYNTAX[3] ?? message) : message;
}

/** Builds the value from the first of two equal keys, and without `__proto__`, which would set the prototype. */
function valueOf(node: Node, path: Path, refused: RefusedKey[]): JsonValue {
  if (node.type === 'array')
    return (node.children ?? []).map((child, index) => valueOf(child, [...path, index], refused));
  if (node.type !== 'object') return node.value as JsonValue;
  const result: JsonObject = {};
  for (const { children, offset } of node.children ?? []) {
    const [key, value] = children ?? [];
    if (key === undefined || value === undefined) continue;
    const name = String(key.value);
    const here = [...path, name];
    if (name === '__proto__' || Object.hasOwn(result, name)) refused.push({ path: here, offset });
    else result[name] = valueOf(value, here, refused);
  }
  return result;
}

/** The place at which the nesting goes beyond `configDepth`; undefined where it does not. The parser would exhaust the stack. */
function tooDeep(text: string): SyntaxFault | undefined {
  let depth = 0;
  for (const { kind, start } of scan(text)) {
    if (kind === TOKEN.openBrace || kind === TOKEN.openBracket) depth += 1;
    if (kind === TOKEN.closeBrace || kind === TOKEN.closeBracket) depth -= 1;
    if (depth > BOUNDS.configDepth)
      return { offset: start, message: `the nesting is deeper than ${BOUNDS.configDepth}` };
  }
  return undefined;
}
