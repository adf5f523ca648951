// What zod found wrong, as findings in our words, with a suggestion where a word was nearly right.
import { z } from 'zod';
import { isObject, type JsonValue } from '../core/json.ts';
import type { Finding } from './positions.ts';
import { didYouMean, type Path } from './problems.ts';
import { URL_KEYS } from './schema.ts';

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/** What a check is about: the schema, the value as the file has it, and its path there. */
export interface Subject {
  readonly schema: Schema;
  readonly value: JsonValue | undefined;
  readonly path: Path;
}

/** Translates issues; values never get into the messages, except words of the file that are offered a correction. */
export function findingsOf(issues: readonly Issue[], subject: Subject): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, subject));
}

/** The keys that a loose schema does not know, wherever they are in the value. */
export function unknownKeys({ schema, value, path }: Subject): { path: Path; key: string; known: string[] }[] {
  const shape = shapeOf(schema);
  if (shape === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const known = Object.keys(shape);
  return Object.entries(value).flatMap(([key, item]) => {
    const inner = shape[key];
    if (!Object.hasOwn(shape, key) || inner === undefined) return [{ path: [...path, key], key, known }];
    return unknownKeys({ schema: inner, value: item, path: [...path, key] });
  });
}

/** As many keys as one warning names. */
const MAX_NAMED = 12;

/** One warning for all keys of one object that are ignored for one reason. */
export function ignoredKeys(path: Path, { keys, reason }: { keys: readonly string[]; reason: string }): Finding[] {
  const [first] = keys;
  if (first === undefined) return [];
  const message = `ignored: ${namedKeys(keys)} (${reason})`;
  return [{ path: [...path, first], atKey: true, severity: 'warning', message }];
}

/** The keys in quotes, as far as one line takes them. */
export function namedKeys(keys: readonly string[]): string {
  const more = keys.length > MAX_NAMED ? ` and ${keys.length - MAX_NAMED} more` : '';
  const named = keys.slice(0, MAX_NAMED).map((key) => JSON.stringify(key.slice(0, 64)));
  return `${named.join(', ')}${more}`;
}

function findingsOfIssue(issue: Issue, subject: Subject): Finding[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  const here = [...subject.path, ...path];
  const value = valueAt(subject.value, path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = Object.keys(shapeOf(schemaAt(subject.schema, path)) ?? {});
      return issue.keys.map((key) => ({
        path: [...here, key],
        message: unknownKey(key, known, valueAt(value, [key])),
        atKey: true,
      }));
    }
    case 'invalid_union':
      return unionFindings(issue, { ...subject, schema: schemaAt(subject.schema, path), value, path: here });
    case 'invalid_value': {
      const words = issue.values.map(String);
      const hint = typeof value === 'string' && !value.includes('${') ? didYouMean(value, words) : '';
      return [{ path: here, message: `must be ${alternatives(words)}${hint}` }];
    }
    case 'invalid_type':
      if (value === undefined) return [{ path: here, message: `${JSON.stringify(path.at(-1))} is required` }];
      return [
        {
          path: here,
          message: ownMessage(issue.message) ?? `must be ${article(issue.expected)}, not ${kindOf(value)}`,
        },
      ];
    case 'too_small':
      return [{ path: here, message: ownMessage(issue.message) ?? `must be at least ${issue.minimum}` }];
    case 'too_big':
      return [{ path: here, message: ownMessage(issue.message) ?? `must be at most ${issue.maximum}` }];
    default:
      return [{ path: here, message: issue.message }];
  }
}

/** Of several alternatives, the one whose outer type fits tells what is wrong. */
function unionFindings(issue: Issue & { code: 'invalid_union' }, subject: Subject): Finding[] {
  const inside = issue.errors.filter((errors) => errors.every((error) => error.path.length > 0));
  const branch = inside[0];
  if (inside.length === 1 && branch !== undefined) return findingsOf(branch, subject);
  return [{ path: subject.path, message: issue.message }];
}

function unknownKey(key: string, known: readonly string[], value: JsonValue | undefined): string {
  if (key === 'servers') return 'unknown key; the servers stand under "mcpServers": rename the key';
  const hint = didYouMean(key, known);
  const isServer =
    known.includes('mcpServers') && isObject(value) && ['command', ...URL_KEYS].some((name) => name in value);
  if (isServer) return 'unknown key; servers stand under "mcpServers": move it there';
  return hint === '' ? `unknown key; known here: ${known.join(', ')}` : `unknown key${hint}`;
}

/** zod's own texts begin in a few fixed ways; ours do not. */
function ownMessage(message: string): string | undefined {
  return /^(Invalid|Too|Unrecognized)/.test(message) ? undefined : message;
}

function alternatives(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return quoted.length === 1 ? `${quoted[0] ?? ''}, the only value offered` : `one of ${quoted.join(', ')}`;
}

function article(type: string): string {
  const names: Readonly<Record<string, string>> = {
    int: 'a whole number',
    array: 'a list',
    object: 'an object',
    record: 'an object',
  };
  return names[type] ?? `a ${type}`;
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : article(typeof value);
}

function valueAt(value: JsonValue | undefined, path: Path): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((current, part) => {
    if (typeof current !== 'object' || current === null) return undefined;
    return Object.hasOwn(current, part) ? (current as Record<string | number, JsonValue>)[part] : undefined;
  }, value);
}

function schemaAt(schema: Schema, path: Path): Schema {
  return path.reduce<Schema>((current, part) => {
    const inner = unwrap(current);
    if (inner instanceof z.ZodArray) return inner.element;
    return shapeOf(inner)?.[part] ?? current;
  }, schema);
}

function shapeOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? inner.shape : undefined;
}

/** Takes off defaults, transforms and optionality; of a union the object is what has keys. */
function unwrap(schema: Schema): Schema {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  if (schema instanceof z.ZodUnion)
    return schema.options.map((option) => unwrap(option)).find((option) => option instanceof z.ZodObject) ?? schema;
  return schema;
}
