// Translates tools for legacy clients, whose SDKs reject a whole list for one output schema that they do not support (wire.md, Shapes across eras).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { DATA, findSchemaFault, NAMED_SCHEMAS } from './json-schema.ts';

/** The output schema of a tool as legacy clients get it. */
export interface LegacyOutput {
  /** Absent where they get none. */
  readonly schema?: JsonObject;
  /** Whether it is the schema of `{ "result": … }`, so that the gateway wraps results too. */
  readonly wrapped: boolean;
  /** Why they get none, as the end of a sentence. */
  readonly fault?: string;
}

const NONE: LegacyOutput = Object.freeze({ wrapped: false });

/** The outputs by schema. They depend on the schema alone, which is part of many catalogs, and are collected with it. */
const known = new WeakMap<JsonObject, LegacyOutput>();

/** The output schema of a tool as legacy clients get it. */
export function legacyOutputOf({ outputSchema }: JsonObject): LegacyOutput {
  if (!isObject(outputSchema)) return NONE;
  let output = known.get(outputSchema);
  if (!output) known.set(outputSchema, (output = readOutput(outputSchema)));
  return output;
}

/** A tool as legacy clients get it; the same object where nothing differs. */
export function toLegacyTool(tool: JsonObject): JsonObject {
  const { schema } = legacyOutputOf(tool);
  const inputSchema = isObject(tool.inputSchema) ? withoutBooleans(tool.inputSchema) : {};
  if (schema === tool.outputSchema && inputSchema === tool.inputSchema) return tool;
  const { outputSchema: _output, ...rest } = tool;
  return { ...rest, inputSchema, ...(schema !== undefined && { outputSchema: schema }) };
}

function readOutput(outputSchema: JsonObject): LegacyOutput {
  const nameless = withoutId(outputSchema);
  // the check comes first, since wrapping a schema without a bound on its depth would exhaust the stack
  const fault = findSchemaFault(nameless);
  if (fault !== undefined) return { wrapped: false, fault };
  const wrapped = nameless.type !== 'object';
  const schema = wrapped ? wrap(nameless) : withoutBooleans(nameless);
  return { schema, wrapped };
}

/** Removes the `$id`: it counts for all schemas of a client, whose validator would take a second schema of that name for the first. */
function withoutId(schema: JsonObject): JsonObject {
  if (schema.$id === undefined) return schema;
  const { $id: _id, ...rest } = schema;
  return rest;
}

/** Replaces boolean schemas of properties, which SDK v1 refuses, by objects. */
function withoutBooleans(schema: JsonObject): JsonObject {
  if (!isObject(schema.properties)) return schema;
  const entries = Object.entries(schema.properties);
  if (!entries.some(([, each]) => typeof each === 'boolean')) return schema;
  const objects = entries.map(([name, each]) => [name, each === true ? {} : each === false ? { not: {} } : each]);
  return { ...schema, properties: Object.fromEntries(objects) as JsonObject };
}

/** The schema of `{ "result": … }` around another schema, whose references are changed to its new place. */
function wrap(schema: JsonObject): JsonObject {
  const { $schema, ...inner } = schema;
  return {
    ...($schema !== undefined && { $schema }),
    type: 'object',
    properties: { result: moved(inner) },
    required: ['result'],
  };
}

function moved(schema: JsonValue): JsonValue {
  if (Array.isArray(schema)) return schema.map(moved);
  if (!isObject(schema)) return schema;
  return fromEntries(schema, (key, value) => {
    if (DATA.has(key)) return [key, value];
    if (NAMED_SCHEMAS.has(key) && isObject(value))
      return [key, fromEntries(value, (name, each) => [name, moved(each)])];
    if (typeof value !== 'string') return [key, moved(value)];
    // the older spelling of a `$ref` to the root
    if (key === '$recursiveRef' && value === '#' && schema.$ref === undefined) return ['$ref', movedRef(value)];
    return [key, key === '$ref' || key === '$dynamicRef' ? movedRef(value) : value];
  });
}

function movedRef(ref: string): string {
  return ref === '#' || ref.startsWith('#/') ? `#/properties/result${ref.slice(1)}` : ref;
}

/** An object of changed entries; Object.fromEntries keeps the key `__proto__` too. */
function fromEntries(object: JsonObject, entry: (key: string, value: JsonValue) => [string, JsonValue]): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => entry(key, value ?? null)));
}
