// What a parsed JSON value takes in memory, about: three bytes on the wire may be forty here, and what is held is bounded by what it takes.
import { type JsonValue, notedWeight } from './json.ts';

/** Bytes of heap, as measured with V8: of each value, and what arrays and objects, and each key of an object, take beyond that. */
const VALUE = 16;
const CONTAINER = 32;
const KEY = 32;

/** What a string, number or word takes. */
export function weightOfScalar(value: JsonValue): number {
  return typeof value === 'string' ? VALUE + value.length : VALUE;
}

/** What an array or object takes beyond what is in it. */
export const WEIGHT_OF_CONTAINER = VALUE + CONTAINER;

/** What a key takes beyond the value that it names. */
export function weightOfKey(key: string): number {
  return KEY + key.length;
}

/** The heap that a value takes, in bytes; walks all of it. Its depth is bounded by the parser. */
export function estimateHeap(value: JsonValue | undefined): number {
  if (typeof value !== 'object' || value === null) return weightOfScalar(value ?? null);
  const noted = notedWeight(value);
  if (noted !== undefined) return noted;
  let weight = WEIGHT_OF_CONTAINER;
  if (Array.isArray(value)) for (const inner of value) weight += estimateHeap(inner);
  else for (const key of Object.keys(value)) weight += weightOfKey(key) + estimateHeap(value[key]);
  return weight;
}

/** Up to this size a message counts as the most that its bytes can take in memory, which is cheaper than looking. */
const SMALL = 16 * 1024;
const MOST_PER_BYTE = 16;

/** What a message holds in memory once it is read, in bytes. */
export function messageHeap(bytes: number, body: JsonValue): number {
  return bytes <= SMALL ? bytes * MOST_PER_BYTE : estimateHeap(body);
}
