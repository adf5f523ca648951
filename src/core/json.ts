// Parsed JSON: its types, the numbers that JavaScript cannot hold, and how much memory it takes.

/** Any JSON value. A number may be an `exactNumber`, which is an object of JavaScript but not of JSON: use `isObject` and `numberOf`. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object; keys are untrusted text. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** JSON.rawJSON (ECMA-262), which TypeScript's library does not declare yet: a value that JSON.stringify writes as its text. */
const EXACT = JSON as typeof JSON & {
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
};

/** Tells whether a value is a JSON object: not null, not an array, not an `exactNumber`. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !EXACT.isRawJSON(value);
}

/** A number whose text would change as a JavaScript number, such as 9007199254740993, 1e400, 1.0 or -0. JSON.stringify writes its text. */
export function exactNumber(text: string): JsonValue {
  return EXACT.rawJSON(text);
}

/** The text of an `exactNumber`; undefined for every other value. */
export function exactText(value: unknown): string | undefined {
  return typeof value === 'object' && EXACT.isRawJSON(value) ? value.rawJSON : undefined;
}

/** The JavaScript number nearest to a JSON number; undefined for any other value. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const text = exactText(value);
  return text === undefined ? undefined : Number(text);
}

/** What the parser notes of an object of more than `envelopeMembers`: V8 takes a third of a microsecond to list each, and a whole one to copy it. */
interface Noted {
  readonly keys: readonly string[];
  /** Its bytes of memory. */
  readonly weight: number;
}

/** The notes by object. They are a part of the parsed object, and are collected with it. */
const noted = new WeakMap<object, Noted>();

/** Notes the keys of an object that does not change any more, and its memory. */
export function noteMembers(object: JsonObject, members: Noted): void {
  noted.set(object, members);
}

/** The keys of an object with very many members that was parsed in slices; undefined for any other. */
export function notedKeys(object: object): readonly string[] | undefined {
  return noted.get(object)?.keys;
}

/** The bytes of memory of such an object; undefined for any other. */
export function notedWeight(object: object): number | undefined {
  return noted.get(object)?.weight;
}

/** The first `most` characters of a text. It copies a longer text, since a slice would retain the whole text in memory. */
export function firstOf(text: string, most: number): string {
  return text.length <= most ? text : Buffer.from(text.slice(0, most)).toString();
}

/** Bytes of heap, as measured with V8: of each value, and in addition of each array or object and of each key. */
const VALUE = 16;
const CONTAINER = 32;
const KEY = 32;

/** The bytes of a string, number, boolean or null. */
export function weightOfScalar(value: JsonValue): number {
  return typeof value === 'string' ? VALUE + value.length : VALUE;
}

/** The bytes of an array or object without its content. */
export const WEIGHT_OF_CONTAINER = VALUE + CONTAINER;

/** The bytes of a key without its value. */
export function weightOfKey(key: string): number {
  return KEY + key.length;
}

/** The bytes of a value on the heap; visits all of it. The parser bounds its depth. */
export function estimateHeap(value: JsonValue | undefined): number {
  if (typeof value !== 'object' || value === null) return weightOfScalar(value ?? null);
  const noted = notedWeight(value);
  if (noted !== undefined) return noted;
  let weight = WEIGHT_OF_CONTAINER;
  if (Array.isArray(value)) for (const inner of value) weight += estimateHeap(inner);
  else for (const key of Object.keys(value)) weight += weightOfKey(key) + estimateHeap(value[key]);
  return weight;
}

/** A message of up to this size counts with the most memory that its bytes can take, which is cheaper than to visit it. */
const SMALL = 16 * 1024;
const MOST_PER_BYTE = 16;

/** The bytes of a parsed message in memory. */
export function messageHeap(bytes: number, body: JsonValue): number {
  return bytes <= SMALL ? bytes * MOST_PER_BYTE : estimateHeap(body);
}

/** The text with `_` for every other character. */
export function plainName(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_');
}
