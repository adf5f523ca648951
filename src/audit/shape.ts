// The shape of a value in the record: its structure and the sizes of its strings and arrays, never their content.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject, type JsonObject, type JsonValue, notedKeys, numberOf } from '../core/json.ts';

/** Describes a value: `string(12)`, `integer`, `{"array":3,"of":"boolean"}`, an object by its keys. Bounded in depth and keys. */
export function shapeOf(value: JsonValue): JsonValue {
  return describe(value, 1, { keys: BOUNDS.shapeAllKeys });
}

function describe(value: JsonValue, depth: number, left: { keys: number }): JsonValue {
  if (typeof value === 'string') return `string(${value.length})`;
  if (typeof value === 'boolean') return 'boolean';
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    const [first] = value;
    if (first === undefined) return { array: 0 };
    return depth < BOUNDS.shapeDepth
      ? { array: value.length, of: describe(first, depth + 1, left) }
      : { array: value.length };
  }
  if (!isObject(value)) return Number.isInteger(numberOf(value)) ? 'integer' : 'number';
  return depth <= BOUNDS.shapeDepth ? describeObject(value, depth, left) : 'object';
}

function describeObject(object: JsonObject, depth: number, left: { keys: number }): JsonValue {
  const shape: JsonObject = {};
  let seen = 0;
  const noted = notedKeys(object);
  for (const key of noted?.slice(0, BOUNDS.shapeKeys) ?? Object.keys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    seen += 1;
    if (seen > BOUNDS.shapeKeys || left.keys === 0) continue;
    left.keys -= 1;
    const name = key.length > BOUNDS.shapeKey ? `${key.slice(0, BOUNDS.shapeKey)}…` : key;
    const inner = describe(value, depth + 1, left);
    // an assignment of this key would set the prototype and lose the key
    if (name === '__proto__') Object.defineProperty(shape, name, { value: inner, enumerable: true });
    else shape[name] = inner;
  }
  const shown = Object.keys(shape).length;
  const all = noted?.length ?? seen;
  if (all > shown) shape['…'] = `${all - shown} more`;
  return shape;
}
