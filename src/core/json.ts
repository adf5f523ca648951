// JSON as types: what a parsed message is made of.

/** Any value that JSON can carry. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A JSON object; keys are untrusted text. */
export interface JsonObject {
  [key: string]: JsonValue | undefined;
}

/** Tells whether a value is a plain JSON object: not null, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
