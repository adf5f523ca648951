// Estimates the memory of a parsed JSON value: three bytes of a message may take forty, and bounds count memory.
import { type JsonValue, notedWeight } from './json.ts';

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
