// Translates the issues of zod into findings with our own texts, and suggests a known word for a misspelt one.
import { z } from 'zod';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject, type JsonValue } from '../core/json.ts';
import type { Finding } from './positions.ts';
import { didYouMean, type Path } from './problems.ts';
import { URL_KEYS } from './schema.ts';

type Schema = z.core.$ZodType;

/** A value as a schema makes it, or what is wrong with it. */
interface Checked<T> {
  readonly data?: T;
  readonly findings: readonly Finding[];
}

/** Checks a value. No message has a value of the file, except a word for which it suggests a correction. */
export function check<T>(schema: z.ZodType<T>, value: unknown): Checked<T> {
  const parsed = schema.safeParse(value, { error: messageOf, reportInput: true });
  return parsed.success ? { data: parsed.data, findings: [] } : { findings: findingsOf(parsed.error.issues, schema) };
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

function findingsOf(issues: readonly z.core.$ZodIssue[], schema: Schema, base: Path = []): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = [...base, ...issue.path.filter((part) => typeof part !== 'symbol')];
    if (issue.code === 'unrecognized_keys') {
      const known = Object.keys(shapeOf(schemaAt(schema, path)) ?? {});
      const input = isObject(issue.input) ? issue.input : {};
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownKey(key, known, input[key]),
        atKey: true,
      }));
    }
    if (issue.code === 'invalid_union') {
      // the only alternative whose outer type fits is the one that is meant
      const [meant, ...others] = issue.errors.filter((errors) => errors.every((error) => error.path.length > 0));
      if (meant !== undefined && others.length === 0) return findingsOf(meant, schema, path);
    }
    return [{ path, message: issue.message }];
  });
}

/** The text of an issue for which the schema has none. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  const { input } = issue;
  if (issue.code === 'invalid_value') {
    const words = issue.values.map(String);
    return `must be ${alternatives(words)}${typeof input === 'string' ? didYouMean(input, words) : ''}`;
  }
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  if (issue.code !== 'invalid_type') return undefined;
  if (input === undefined) return `${JSON.stringify(issue.path?.at(-1))} is required`;
  return `must be ${article(issue.expected)}, not ${kindOf(input)}`;
}

function unknownKey(key: string, known: readonly string[], value: JsonValue | undefined): string {
  if (key === 'servers') return 'unknown key; the servers stand under "mcpServers": rename the key';
  const hint = didYouMean(key, known);
  const isServer =
    known.includes('mcpServers') && isObject(value) && ['command', ...URL_KEYS].some((name) => name in value);
  if (isServer) return 'unknown key; servers stand under "mcpServers": move it there';
  return hint === '' ? `unknown key; known here: ${known.join(', ')}` : `unknown key${hint}`;
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

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : article(typeof value);
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
