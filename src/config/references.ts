// References inside strings: `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:path}`; `$${` stands for a plain `${`.
import { resolve } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { readRegularFile } from './files.ts';
import type { Finding } from './positions.ts';
import type { Path } from './problems.ts';

/** What references are resolved against: relative files against the directory of the file that names them. */
export interface ReferenceSource {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A value with its references resolved. */
export interface Expansion {
  readonly value: JsonValue;
  /** Every value that a reference gave; defaults are not among them, as they stand in the file. */
  readonly resolved: readonly string[];
  /** Every file that a reference names, absolute. */
  readonly files: readonly string[];
  /** The strings that contain references, as keys made by `pathKey`. */
  readonly referring: ReadonlySet<string>;
  /** References that gave no value. */
  readonly unset: readonly Finding[];
  /** Strings whose references are not written correctly. */
  readonly malformed: readonly Finding[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables of editors that a pasted block may bring along. */
const EDITORS_OWN = new Set(['workspaceFolder', 'workspaceFolderBasename', 'userHome', 'pathSeparator']);
const REFERENCE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;

interface Collected {
  resolved: string[];
  files: string[];
  referring: Set<string>;
  unset: Finding[];
  malformed: Finding[];
}

/** `file`: what was read, or would have been. */
type Outcome = ({ value: string; secret: boolean } | { unset: string } | { malformed: string }) & { file?: string };

/** A path as a key of a set. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** Tells whether a string contains something that reads as a reference. */
export function hasReference(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([match]) => match !== '$${');
}

/** Resolves the references of every string in a value; `base` is the path of the value in its file. Never throws. */
export function expand(value: JsonValue, base: Path, source: ReferenceSource): Expansion {
  const collected: Collected = { resolved: [], files: [], referring: new Set(), unset: [], malformed: [] };
  const expanded = walk(value, base, (text, path) => expandString(text, path, { source, collected }));
  return { value: expanded, ...collected };
}

/** Finds the strings with references without reading any of them. */
export function findReferences(value: JsonValue, base: Path): Expansion {
  const referring = new Set<string>();
  walk(value, base, (text, path) => {
    if (hasReference(text)) referring.add(pathKey(path));
    return text;
  });
  return { value, resolved: [], files: [], referring, unset: [], malformed: [] };
}

function walk(value: JsonValue, path: Path, each: (text: string, path: Path) => string): JsonValue {
  if (typeof value === 'string') return each(value, path);
  if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index], each));
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) result[key] = walk(item, [...path, key], each);
  }
  return result;
}

function expandString(text: string, path: Path, context: { source: ReferenceSource; collected: Collected }): string {
  const { source, collected } = context;
  return text.replaceAll(REFERENCE, (match: string, body: string | undefined) => {
    if (match === '$${') return '${';
    collected.referring.add(pathKey(path));
    const outcome: Outcome =
      body === undefined
        ? { malformed: 'the reference is not closed; a literal ${ is written $${' }
        : resolveReference(body, source);
    if (outcome.file !== undefined) collected.files.push(outcome.file);
    if ('value' in outcome) {
      if (outcome.secret) collected.resolved.push(outcome.value);
      return outcome.value;
    }
    if ('unset' in outcome) collected.unset.push({ path, message: outcome.unset, within: match });
    else collected.malformed.push({ path, message: outcome.malformed, within: match });
    return match;
  });
}

function resolveReference(body: string, source: ReferenceSource): Outcome {
  if (body.startsWith('file:')) return readReferenced(body.slice('file:'.length), source);
  const [, kind, name = '', , fallback] = /^(?:([A-Za-z]+):(?!-))?(.*?)(:-(.*))?$/s.exec(body) ?? [];
  if (kind !== undefined && kind !== 'env') {
    return { malformed: `references of the kind "${kind}:" are not read here; use \${env:NAME} or \${file:path}` };
  }
  if (!NAME.test(name))
    return { malformed: 'the reference names no environment variable; a literal ${ is written $${' };
  if (fallback?.includes('${') === true) return { malformed: 'a default cannot contain a reference' };
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
  if (fallback !== undefined && (value === undefined || value === '')) return { value: fallback, secret: false };
  if (value !== undefined) return { value, secret: true };
  if (EDITORS_OWN.has(name))
    return { unset: `\${${name}} is a variable of an editor, which is not known here; write the path` };
  return { unset: `the environment variable ${name} is not set; set it, or give a default: \${env:${name}:-default}` };
}

function readReferenced(name: string, { directory }: ReferenceSource): Outcome {
  if (name === '') return { malformed: 'the reference names no file' };
  if (/^~[/\\]/.test(name)) return { malformed: '~ is not expanded in paths; write the whole path' };
  const file = resolve(directory, name);
  const read = readRegularFile(file, { follow: true });
  return 'fault' in read
    ? { unset: `the file ${file} ${read.fault}`, file }
    : { value: read.text.replace(/\r?\n$/, ''), secret: true, file };
}
