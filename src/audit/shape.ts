// The level `shape` of the record: the structure of a value with the sizes of its leaves, and never what they hold.
import { isObject, type JsonObject, type JsonValue, notedKeys, numberOf } from '../core/json.ts';

const MAX_KEYS = 64;
const MAX_DEPTH = 6;
const MAX_KEY_LENGTH = 64;
/** Keys in one shape, whatever its form: what bounds the record of a hostile call. */
const MAX_KEYS_IN_ALL = 256;

/** Describes a value: `string(12)`, `integer`, `{"array":3,"of":"boolean"}`, objects by their keys. Bounded in depth and keys. */
export function shapeOf(value: JsonValue): JsonValue {
  return describe(value, 1, { keys: MAX_KEYS_IN_ALL });
}

function describe(value: JsonValue, depth: number, left: { keys: number }): JsonValue {
  if (typeof value === 'string') return `string(${value.length})`;
  if (typeof value === 'boolean') return 'boolean';
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    const [first] = value;
    if (first === undefined) return { array: 0 };
    return depth < MAX_DEPTH ? { array: value.length, of: describe(first, depth + 1, left) } : { array: value.length };
  }
  if (!isObject(value)) return Number.isInteger(numberOf(value)) ? 'integer' : 'number';
  return depth <= MAX_DEPTH ? describeObject(value, depth, left) : 'object';
}

function describeObject(object: JsonObject, depth: number, left: { keys: number }): JsonValue {
  const shape: JsonObject = {};
  let seen = 0;
  const noted = notedKeys(object);
  for (const key of noted?.slice(0, MAX_KEYS) ?? Object.keys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    seen += 1;
    if (seen > MAX_KEYS || left.keys === 0) continue;
    left.keys -= 1;
    const name = key.length > MAX_KEY_LENGTH ? `${key.slice(0, MAX_KEY_LENGTH)}…` : key;
    const inner = describe(value, depth + 1, left);
    // A plain assignment of this one key would set the prototype and lose the key.
    if (name === '__proto__') Object.defineProperty(shape, name, { value: inner, enumerable: true });
    else shape[name] = inner;
  }
  const shown = Object.keys(shape).length;
  const all = noted?.length ?? seen;
  if (all > shown) shape['…'] = `${all - shown} more`;
  return shape;
}
