// What a parsed JSON value takes in memory, about: three bytes on the wire may be forty here, and what is held is bounded by what it takes.
import { type JsonValue, notedKeys } from './json.ts';

/** Bytes of heap, as measured with V8: of each value, and what arrays and objects, and each key of an object, take beyond that. */
const VALUE = 16;
const CONTAINER = 32;
const KEY = 32;

/** The heap that a value takes, in bytes; walks all of it. Its depth is bounded by the parser. */
export function weightOf(value: JsonValue | undefined): number {
  if (typeof value === 'string') return VALUE + value.length;
  if (typeof value !== 'object' || value === null) return VALUE;
  let weight = VALUE + CONTAINER;
  if (Array.isArray(value)) for (const inner of value) weight += weightOf(inner);
  else for (const key of notedKeys(value) ?? Object.keys(value)) weight += KEY + key.length + weightOf(value[key]);
  return weight;
}
