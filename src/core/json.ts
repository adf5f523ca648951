// JSON as types: what a parsed message is made of.

/** Any value that JSON can carry. A number may be an `exactNumber`, which is no object of JSON: ask `isObject` and `numberOf`. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object; keys are untrusted text. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** What TypeScript's library does not know yet of JSON (ECMA-262, JSON.rawJSON): a value that is written as the text that it was made of. */
const EXACT = JSON as typeof JSON & {
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
};

/** Tells whether a value is a plain JSON object: not null, not an array, not a number that is kept as its text. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !EXACT.isRawJSON(value);
}

/** A number whose text would change in a JavaScript number, such as 9007199254740993, 1e400, 1.0 or -0: written again as it came. */
export function exactNumber(text: string): JsonValue {
  return EXACT.rawJSON(text);
}

/** The text of a number that JavaScript cannot hold; undefined for every other value. */
export function exactText(value: unknown): string | undefined {
  return typeof value === 'object' && EXACT.isRawJSON(value) ? value.rawJSON : undefined;
}

/** A JSON number as JavaScript can count with it, however it was written; undefined for what is no number. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const text = exactText(value);
  return text === undefined ? undefined : Number(text);
}

/** An object of more members is hard to handle: V8 takes a third of a microsecond to list each, and a whole one to copy it. */
export const MANY_MEMBERS = 1_000;

/** What was noted of such an object when it was read. */
interface Noted {
  readonly keys: readonly string[];
  /** As `weightOf` gives it. */
  readonly weight: number;
}

const noted = new WeakMap<object, Noted>();

/** Notes the keys of an object that nobody changes any more, and what it takes in memory. */
export function noteMembers(object: JsonObject, members: Noted): void {
  noted.set(object, members);
}

/** The keys of an object of very many members that was read in slices; undefined for every other. */
export function notedKeys(object: object): readonly string[] | undefined {
  return noted.get(object)?.keys;
}

/** What such an object takes in memory, in bytes; undefined for every other. */
export function notedWeight(object: object): number | undefined {
  return noted.get(object)?.weight;
}
