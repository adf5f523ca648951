// What a server's definitions must look like so that clients, which check whole lists at once, take them.
import type { OfferKind } from '../core/call.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { readMirroredParams } from '../protocol/mcp/param-headers.ts';

type Check = (value: JsonValue) => boolean;

const text: Check = (value) => typeof value === 'string';
const object: Check = (value) => isObject(value);
const flag: Check = (value) => typeof value === 'boolean';
const number: Check = (value) => typeof value === 'number';
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

/** Checks each key that is there; a key that is not listed is nobody's business. */
const shape =
  (keys: Readonly<Record<string, Check>>, ...required: string[]) =>
  (value: JsonValue): string | undefined => {
    if (!isObject(value)) return 'it is not an object';
    const missing = required.find((key) => value[key] === undefined);
    if (missing !== undefined) return `it has no ${missing}`;
    const wrong = Object.keys(keys).find((key) => value[key] !== undefined && !keys[key]?.(value[key]));
    return wrong === undefined ? undefined : `its ${wrong} has the wrong type`;
  };

const fits =
  (check: (value: JsonValue) => string | undefined): Check =>
  (value) =>
    check(value) === undefined;

const hints = shape({
  title: text,
  readOnlyHint: flag,
  destructiveHint: flag,
  idempotentHint: flag,
  openWorldHint: flag,
});
const annotations = shape({ audience: listOf(text), priority: number, lastModified: text });
const icon = shape({ src: text, mimeType: text, sizes: listOf(text) }, 'src');
const argument = shape({ name: text, title: text, description: text, required: flag }, 'name');

const NAMED = { name: text, title: text, description: text, _meta: object, icons: listOf(fits(icon)) };
const FOUND = { ...NAMED, mimeType: text, annotations: fits(annotations) };

const SHAPES: Readonly<Record<OfferKind, (value: JsonValue) => string | undefined>> = {
  tool: shape(
    { ...NAMED, inputSchema: object, outputSchema: object, annotations: fits(hints), execution: object },
    'name',
    'inputSchema',
  ),
  prompt: shape({ ...NAMED, arguments: listOf(fits(argument)) }, 'name'),
  resource: shape({ ...FOUND, uri: text, size: number }, 'uri', 'name'),
  resourceTemplate: shape({ ...FOUND, uriTemplate: text }, 'uriTemplate', 'name'),
};

/** Says why a definition cannot be offered; undefined where it can. */
export function findFault(kind: OfferKind, definition: JsonObject): string | undefined {
  const fault = SHAPES[kind](definition);
  if (fault !== undefined || kind !== 'tool') return fault;
  const { inputSchema } = definition;
  if (isObject(inputSchema) && inputSchema.type !== 'object') return 'its inputSchema is not of the type "object"';
  const params = readMirroredParams(inputSchema);
  return params.ok ? undefined : params.reason;
}
