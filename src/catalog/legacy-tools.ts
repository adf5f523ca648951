// Tools as legacy clients can take them: one output schema that their SDKs do not read makes them reject the whole list (wire.md, Shapes across eras).
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { DATA, findSchemaFault, NAMED_SCHEMAS } from './json-schema.ts';

/** What legacy clients are given for an output schema. */
export interface LegacyOutput {
  /** Absent where they are given none. */
  readonly schema?: JsonObject;
  /** Whether it is the schema of `{ "result": … }`, so that results are wrapped too. */
  readonly wrapped: boolean;
  /** Why they are given none, as the end of a sentence. */
  readonly fault?: string;
}

const NONE: LegacyOutput = Object.freeze({ wrapped: false });

/** Kept as long as the schema itself, which outlives the catalogs that it stands in. */
const known = new WeakMap<JsonObject, LegacyOutput>();

/** What legacy clients are given for the output schema of a tool. */
export function legacyOutputOf({ outputSchema }: JsonObject): LegacyOutput {
  if (!isObject(outputSchema)) return NONE;
  let output = known.get(outputSchema);
  if (!output) known.set(outputSchema, (output = readOutput(outputSchema)));
  return output;
}

/** A tool as legacy clients can take it; the very same where nothing differs. */
export function toLegacyTool(tool: JsonObject): JsonObject {
  const { schema } = legacyOutputOf(tool);
  const inputSchema = isObject(tool.inputSchema) ? withoutBooleans(tool.inputSchema) : {};
  if (schema === tool.outputSchema && inputSchema === tool.inputSchema) return tool;
  const { outputSchema: _output, ...rest } = tool;
  return { ...rest, inputSchema, ...(schema !== undefined && { outputSchema: schema }) };
}

function readOutput(outputSchema: JsonObject): LegacyOutput {
  const nameless = withoutId(outputSchema);
  // checked before it is wrapped, which a schema that is nested without end would not survive
  const fault = findSchemaFault(nameless);
  if (fault !== undefined) return { wrapped: false, fault };
  const wrapped = nameless.type !== 'object';
  const schema = wrapped ? wrap(nameless) : withoutBooleans(nameless);
  return { schema, wrapped };
}

/** An `$id` names a schema for all others of a client: a second one of that name would be taken for the first. */
function withoutId(schema: JsonObject): JsonObject {
  if (schema.$id === undefined) return schema;
  const { $id: _id, ...rest } = schema;
  return rest;
}

/** SDK v1 takes no booleans for the schemas of properties, though JSON Schema has them. */
function withoutBooleans(schema: JsonObject): JsonObject {
  if (!isObject(schema.properties)) return schema;
  const entries = Object.entries(schema.properties);
  if (!entries.some(([, each]) => typeof each === 'boolean')) return schema;
  const objects = entries.map(([name, each]) => [name, each === true ? {} : each === false ? { not: {} } : each]);
  return { ...schema, properties: Object.fromEntries(objects) as JsonObject };
}

/** The schema of `{ "result": … }` around another, whose references follow it to where it stands then. */
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
    // an older way to say `$ref` to the root
    if (key === '$recursiveRef' && value === '#' && schema.$ref === undefined) return ['$ref', movedRef(value)];
    return [key, key === '$ref' || key === '$dynamicRef' ? movedRef(value) : value];
  });
}

function movedRef(ref: string): string {
  return ref === '#' || ref.startsWith('#/') ? `#/properties/result${ref.slice(1)}` : ref;
}

/** Every name is a name here, also `__proto__`. */
function fromEntries(object: JsonObject, entry: (key: string, value: JsonValue) => [string, JsonValue]): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => entry(key, value ?? null)));
}
