// References inside strings: `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:path}`; `$${` stands for a plain `${`.
import { resolve } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { isSecretName } from './excerpts.ts';
import { readRegularFile } from './files.ts';
import { fromHome, homeOf } from './home.ts';
import type { Finding } from './positions.ts';
import type { Path } from './problems.ts';

/** What references are resolved against. */
export interface ReferenceSource {
  readonly env: NodeJS.ProcessEnv;
  /** The directory of the file with the references, which the files that they name are relative to. */
  readonly directory: string;
  /** Why the gateway reads no references at a path; undefined where it does. */
  readonly refuse?: (path: Path) => string | undefined;
}

/** What was found in the strings of a value. */
interface Found {
  /** Every value that a reference resolved to; without defaults, since the file itself has these. */
  readonly resolved: string[];
  /** Every file that a reference names, absolute. */
  readonly files: string[];
  /** The strings that contain references, as keys made by `pathKey`. */
  readonly referring: Set<string>;
  /** References without a value, and those that are not written correctly. */
  readonly faults: Finding[];
}

/** A value with its references resolved. */
export interface Expansion extends Found {
  readonly value: JsonValue;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Variables of editors that a pasted block may have. */
const EDITORS_OWN = new Set(['workspaceFolder', 'workspaceFolderBasename', 'userHome', 'pathSeparator']);
const REFERENCE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;

/** `file`: the file that the reference names. */
type Outcome = ({ value: string; secret: boolean } | { fault: string }) & { file?: string };

/** A path as a key of a set. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** Tells whether a string contains a reference, also one that is malformed. */
export function hasReference(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([match]) => match !== '$${');
}

/** Resolves the references of every string in a value; without a source it only finds them. Never throws. */
export function expand(value: JsonValue, source?: ReferenceSource): Expansion {
  const found: Found = { resolved: [], files: [], referring: new Set(), faults: [] };
  const expanded = walk(value, [], (text, path) => {
    if (hasReference(text)) found.referring.add(pathKey(path));
    if (!source) return text;
    const refusal = source.refuse?.(path);
    if (refusal === undefined) return expandString(text, path, { source, found });
    if (hasReference(text)) found.faults.push({ path, message: refusal });
    return text;
  });
  return { value: expanded, ...found };
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

function expandString(text: string, path: Path, { source, found }: { source: ReferenceSource; found: Found }): string {
  return text.replaceAll(REFERENCE, (match: string, body: string | undefined) => {
    if (match === '$${') return '${';
    const outcome: Outcome =
      body === undefined
        ? { fault: 'the reference is not closed; a literal ${ is written $${' }
        : resolveReference(body, path, source);
    if (outcome.file !== undefined) found.files.push(outcome.file);
    if ('fault' in outcome) {
      found.faults.push({ path, message: outcome.fault, within: match });
      return match;
    }
    if (outcome.secret) found.resolved.push(outcome.value);
    return outcome.value;
  });
}

function resolveReference(body: string, path: Path, source: ReferenceSource): Outcome {
  if (body.startsWith('file:')) return readReferenced(body.slice('file:'.length), source);
  const [, kind, name = '', , fallback] = /^(?:([A-Za-z]+):(?!-))?(.*?)(:-(.*))?$/s.exec(body) ?? [];
  const fault = misread(body, kind, name);
  if (fault !== undefined) return { fault };
  if (fallback?.includes('${') === true) return { fault: 'a default cannot contain a reference' };
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
  if (fallback !== undefined && (value === undefined || value === '')) return { value: fallback, secret: false };
  return value === undefined ? { fault: unset(name, path) } : { value, secret: true };
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
  if (name === '') return { fault: 'the reference names no file' };
  const file = resolve(directory, fromHome(name, homeOf(env)));
  const read = readRegularFile(file, { follow: true });
  return 'fault' in read
    ? { fault: `the file ${file} ${read.fault}`, file }
    : { value: read.text.replace(/\r?\n$/, ''), secret: true, file };
}
