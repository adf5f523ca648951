// Translates tools for legacy clients, whose SDKs reject a whole list for one output schema that they do not support (wire.md, Shapes across eras).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { DATA, findSchemaFault, NAMED_SCHEMAS } from './json-schema.ts';

/** A tool as legacy clients get it. */
export interface LegacyTool {
  /** The same object where nothing differs. */
  readonly definition: JsonObject;
  /** Whether its output schema is that of `{ "result": … }`, so that the gateway wraps results too. */
  readonly wrapsOutput: boolean;
  /** Why it has no output schema, as the end of a sentence. */
  readonly fault?: string | undefined;
}

export function legacyToolOf(tool: JsonObject): LegacyTool {
  const { outputSchema, ...rest } = tool;
  const inputSchema = isObject(tool.inputSchema) ? withoutBooleans(tool.inputSchema) : {};
  const nameless = isObject(outputSchema) ? withoutId(outputSchema) : undefined;
  // the check comes first, since wrapping a schema without a bound on its depth would exhaust the stack
  const fault = nameless && findSchemaFault(nameless);
  const known = fault === undefined ? nameless : undefined;
  const wrapsOutput = known !== undefined && known.type !== 'object';
  const schema = known && (wrapsOutput ? wrap(known) : withoutBooleans(known));
  const isSame = schema === outputSchema && inputSchema === tool.inputSchema;
  const definition = isSame ? tool : { ...rest, inputSchema, ...(schema && { outputSchema: schema }) };
  return { definition, wrapsOutput, fault };
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
