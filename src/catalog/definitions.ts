// What a server's definitions must look like so that clients, which check whole lists at once, take them.
import type { OfferKind } from '../core/call.ts';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { readMirroredParams } from '../protocol/mcp/param-headers.ts';

type Check = (value: JsonValue) => boolean;

/** As the clients' SDKs read it, which is what counts: `schema.ts` asks for ISO 8601 and no more. */
const MOMENT = /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

const text: Check = (value) => typeof value === 'string';
const object: Check = (value) => isObject(value);
const flag: Check = (value) => typeof value === 'boolean';
/** Not Infinity, which `1e999` is read as and JSON cannot write. */
const number: Check = (value) => Number.isFinite(value);
const share: Check = (value) => typeof value === 'number' && value >= 0 && value <= 1;
const moment: Check = (value) => {
  const day = typeof value === 'string' ? MOMENT.exec(value)?.[1] : undefined;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight) && new Date(midnight).toISOString().slice(0, 10) === day; // the 30th of February is the 2nd of March
};
const schema: Check = (value) => isObject(value) || typeof value === 'boolean';
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && values.includes(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const named =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every((each) => each !== undefined && check(each));

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
const annotations = shape({ audience: listOf(oneOf('user', 'assistant')), priority: share, lastModified: moment });
const icon = shape({ src: text, mimeType: text, sizes: listOf(text), theme: oneOf('light', 'dark') }, 'src');
const execution = shape({ taskSupport: oneOf('required', 'optional', 'forbidden') });
const input = shape(
  { $schema: text, type: oneOf('object'), properties: named(schema), required: listOf(text) },
  'type',
);
const output = shape({ $schema: text });
const argument = shape({ name: text, title: text, description: text, required: flag }, 'name');

const NAMED = { name: text, title: text, description: text, _meta: object, icons: listOf(fits(icon)) };
const FOUND = { ...NAMED, mimeType: text, annotations: fits(annotations) };

const SHAPES: Readonly<Record<OfferKind, (value: JsonValue) => string | undefined>> = {
  tool: shape(
    {
      ...NAMED,
      inputSchema: fits(input),
      outputSchema: fits(output),
      annotations: fits(hints),
      execution: fits(execution),
    },
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
  const params = readMirroredParams(definition.inputSchema);
  return params.ok ? undefined : params.reason;
}
