// The types of parsed JSON, and the numbers that JavaScript cannot hold.

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
