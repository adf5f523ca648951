// Translates the issues of zod into findings with our own texts, and suggests a known word for a misspelt one.
import { z } from 'zod';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject, type JsonValue } from '../core/json.ts';
import type { Finding } from './positions.ts';
import { didYouMean, type Path } from './problems.ts';
import { URL_KEYS } from './schema.ts';

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/** What zod checked: the schema, the value as the file has it, and its path there. */
export interface Subject {
  readonly schema: Schema;
  readonly value: JsonValue | undefined;
  readonly path: Path;
}

/** Translates issues. No message has a value of the file, except a word for which it suggests a correction. */
export function findingsOf(issues: readonly Issue[], subject: Subject): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, subject));
}

/** The keys that a schema does not know, at any depth of the value. */
export function unknownKeys(
  schema: Schema,
  value: JsonValue | undefined,
  path: Path = [],
): { path: Path; key: string; known: string[] }[] {
  const shape = shapeOf(schema);
  if (shape === undefined || !isObject(value)) return [];
  const known = Object.keys(shape);
  return Object.entries(value).flatMap(([key, item]) => {
    const here = [...path, key];
    const inner = Object.hasOwn(shape, key) ? shape[key] : undefined;
    return inner === undefined ? [{ path: here, key, known }] : unknownKeys(inner, item, here);
  });
}

/** One warning for all keys of one object that the gateway ignores for the same reason. */
export function ignoredKeys(path: Path, { keys, reason }: { keys: readonly string[]; reason: string }): Finding[] {
  const [first] = keys;
  if (first === undefined) return [];
  const message = `ignored: ${namedKeys(keys)} (${reason})`;
  return [{ path: [...path, first], atKey: true, severity: 'warning', message }];
}

/** The keys in quotes, `problemKeys` at most. */
export function namedKeys(keys: readonly string[]): string {
  const most = BOUNDS.problemKeys;
  const more = keys.length > most ? ` and ${keys.length - most} more` : '';
  const named = keys.slice(0, most).map((key) => JSON.stringify(key.slice(0, BOUNDS.errorKey)));
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

/** The findings of the only alternative whose outer type fits; else one finding for the union. */
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

/** Our own text of an issue; undefined for one of zod, which begins with one of a few words. */
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

/** The schema without defaults, transforms and optionality; of a union its object, which alone has keys. */
function unwrap(schema: Schema): Schema {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  if (schema instanceof z.ZodUnion)
    return schema.options.map((option) => unwrap(option)).find((option) => option instanceof z.ZodObject) ?? schema;
  return schema;
}
