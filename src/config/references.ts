// References inside strings: `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:path}`; `$${` stands for a plain `${`.
import { resolve } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { isSecretName } from './excerpts.ts';
import { readRegularFile } from './files.ts';
import { fromHome, homeOf } from './home.ts';
import type { Finding } from './positions.ts';
import type { Path } from './problems.ts';

/** The environment for references, and the directory of the file that has them, for relative files. */
export interface ReferenceSource {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A value with its references resolved. */
export interface Expansion {
  readonly value: JsonValue;
  /** Every value that a reference resolved to; without defaults, since the file itself has these. */
  readonly resolved: readonly string[];
  /** Every file that a reference names, absolute. */
  readonly files: readonly string[];
  /** The strings that contain references, as keys made by `pathKey`. */
  readonly referring: ReadonlySet<string>;
  /** References without a value. */
  readonly unset: readonly Finding[];
  /** References that are not written correctly. */
  readonly malformed: readonly Finding[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables of editors that a pasted block may have. */
const EDITORS_OWN = new Set(['workspaceFolder', 'workspaceFolderBasename', 'userHome', 'pathSeparator']);
const REFERENCE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;

interface Collected {
  resolved: string[];
  files: string[];
  referring: Set<string>;
  unset: Finding[];
  malformed: Finding[];
}

/** `file`: the file that the reference names. */
type Outcome = ({ value: string; secret: boolean } | { unset: string } | { malformed: string }) & { file?: string };

/** A path as a key of a set. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** Tells whether a string contains a reference, also one that is malformed. */
export function hasReference(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([match]) => match !== '$${');
}

/** Resolves the references of every string in a value; `base` is the path of the value in its file. Never throws. */
export function expand(value: JsonValue, base: Path, source: ReferenceSource): Expansion {
  const collected: Collected = { resolved: [], files: [], referring: new Set(), unset: [], malformed: [] };
  const expanded = walk(value, base, (text, path) => expandString(text, path, { source, collected }));
  return { value: expanded, ...collected };
}

/** Finds the strings with references without resolving these. */
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
        : resolveReference(body, path, source);
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

function resolveReference(body: string, path: Path, source: ReferenceSource): Outcome {
  if (body.startsWith('file:')) return readReferenced(body.slice('file:'.length), source);
  const [, kind, name = '', , fallback] = /^(?:([A-Za-z]+):(?!-))?(.*?)(:-(.*))?$/s.exec(body) ?? [];
  const malformed = misread(body, kind, name);
  if (malformed !== undefined) return { malformed };
  if (fallback?.includes('${') === true) return { malformed: 'a default cannot contain a reference' };
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
  if (fallback !== undefined && (value === undefined || value === '')) return { value: fallback, secret: false };
  return value === undefined ? { unset: unset(name, path) } : { value, secret: true };
}

/** Why a reference is malformed; undefined where it is not. */
function misread(body: string, kind: string | undefined, name: string): string | undefined {
  if (kind === 'input') {
    const variable = name.replace(/\W/g, '_').toUpperCase();
    return `\${${body}} is asked for by VS Code, and nobody can be asked here; write \${env:${variable}} and set that variable, or \${file:path}`;
  }
  if (body.startsWith('{')) return 'secrets of Continue are not read here; write ${env:NAME} or ${file:path}';
  if (kind !== undefined && kind !== 'env')
    return `references of the kind "${kind}:" are not read here; use \${env:NAME} or \${file:path}`;
  if (!NAME.test(name)) return 'the reference names no environment variable; a literal ${ is written $${';
  return undefined;
}

/** The message about a variable that is not set. It suggests a default only for what is no secret, since a default is in the file. */
function unset(name: string, path: Path): string {
  if (name === 'userHome') return '${userHome} is a variable of an editor; write ${HOME}';
  if (EDITORS_OWN.has(name)) return `\${${name}} is a variable of an editor, which is not known here; write the path`;
  const secret = [name, ...path].some((part) => typeof part === 'string' && isSecretName(part));
  const advice = secret ? 'set it' : `set it, or give a default: \${env:${name}:-default}`;
  return `the environment variable ${name} is not set; ${advice}`;
}

function readReferenced(name: string, { directory, env }: ReferenceSource): Outcome {
  if (name === '') return { malformed: 'the reference names no file' };
  const file = resolve(directory, fromHome(name, homeOf(env)));
  const read = readRegularFile(file, { follow: true });
  return 'fault' in read
    ? { unset: `the file ${file} ${read.fault}`, file }
    : { value: read.text.replace(/\r?\n$/, ''), secret: true, file };
}
