// Checks the definitions and icons of an offer, since a client refuses a whole list for one invalid definition.
import type { OfferKind } from '../core/call.ts';
import { excerpt } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue, numberOf } from '../core/json.ts';
import { readMirroredParams } from '../protocol/mcp/param-headers.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';

/** Returns the fault of a value, to follow the name of its place: ` is not a string`, `.priority is not a number`; undefined where there is none. */
type Check = (value: JsonValue) => string | undefined;

/** A time as the clients' SDKs check it, which is stricter than ISO 8601, for which the specification asks. */
const MOMENT = /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Makes a check of a test; `what` names what the value should be. */
const is =
  (test: (value: JsonValue) => boolean, what: string): Check =>
  (value) =>
    test(value) ? undefined : ` is not ${what}`;

const text = is((value) => typeof value === 'string', 'a string');
const object = is(isObject, 'an object');
const flag = is((value) => typeof value === 'boolean', 'a boolean');
/** Excludes what clients read as Infinity, such as `1e999`. */
const number = is((value) => Number.isFinite(numberOf(value)), 'a number');
const share = is((value) => between(numberOf(value), 0, 1), 'a number from 0 to 1');
const moment = is(isMoment, 'a time of ISO 8601 with its offset');
const schema = is((value) => isObject(value) || typeof value === 'boolean', 'a schema');
const oneOf = (...values: readonly string[]) =>
  is((value) => typeof value === 'string' && values.includes(value), values.join(' or '));

const between = (value: number | undefined, least: number, most: number) =>
  value !== undefined && value >= least && value <= most;

const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) ? firstFault(value.entries(), (index) => `[${index}]`, check) : ' is not a list';

/** Checks each member of an object with the same check. */
const named =
  (check: Check): Check =>
  (value) =>
    isObject(value) ? firstFault(Object.entries(value), (name) => `.${excerpt(name)}`, check) : ' is not an object';

/** Checks each listed key that is present; allows other keys. */
const shape =
  (keys: Readonly<Record<string, Check>>, ...required: string[]): Check =>
  (value) => {
    if (!isObject(value)) return ' is not an object';
    const missing = required.find((key) => value[key] === undefined);
    if (missing !== undefined) return `.${missing} is missing`;
    for (const key of Object.keys(keys)) {
      const fault = value[key] === undefined ? undefined : keys[key]?.(value[key]);
      if (fault !== undefined) return `.${key}${fault}`;
    }
    return undefined;
  };

function firstFault<K>(
  entries: Iterable<[K, JsonValue | undefined]>,
  place: (key: K) => string,
  check: Check,
): string | undefined {
  for (const [key, value] of entries) {
    const fault = check(value ?? null);
    if (fault !== undefined) return place(key) + fault;
  }
  return undefined;
}

function isMoment(value: JsonValue): boolean {
  const day = typeof value === 'string' ? MOMENT.exec(value)?.[1] : undefined;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight) && new Date(midnight).toISOString().slice(0, 10) === day; // Date.parse takes the 30th of February for the 2nd of March
}

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

const NAMED = { name: text, title: text, description: text, _meta: object, icons: listOf(icon) };
const FOUND = { ...NAMED, mimeType: text, annotations };

const SHAPES: Readonly<Record<OfferKind, Check>> = {
  tool: shape(
    {
      ...NAMED,
      inputSchema: input,
      outputSchema: output,
      annotations: hints,
      execution,
    },
    'name',
    'inputSchema',
  ),
  prompt: shape({ ...NAMED, arguments: listOf(argument) }, 'name'),
  resource: shape({ ...FOUND, uri: text, size: number }, 'uri', 'name'),
  resourceTemplate: shape({ ...FOUND, uriTemplate: text }, 'uriTemplate', 'name'),
};

/** Why a definition cannot be offered; undefined where it can. */
export function findFault(kind: OfferKind, definition: JsonObject): string | undefined {
  const fault = SHAPES[kind](definition);
  if (fault !== undefined) return `its ${fault.slice(1)}`;
  if (kind !== 'tool') return undefined;
  const params = readMirroredParams(definition.inputSchema);
  return params.ok ? undefined : params.reason;
}

/** A URI that a client may load. The scheme must be at its very start, since some parsers skip leading spaces and find another scheme. */
const SAFE = /^(?:https?:\/\/|data:image\/)/i;

/** The definition with the icons that clients may load; `leftOut` names the others, as the end of a sentence. */
export function withSafeIcons(definition: JsonObject): { definition: JsonObject; leftOut?: string } {
  const { icons, ...rest } = definition;
  if (!Array.isArray(icons)) return { definition };
  const [first, ...others] = icons.map(addressOf).filter((src) => !SAFE.test(src));
  if (first === undefined) return { definition };
  const safe = icons.filter((each) => SAFE.test(addressOf(each)));
  const address = JSON.stringify(first.slice(0, BOUNDS.warningExcerpt));
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return {
    definition: safe.length === 0 ? rest : { ...definition, icons: safe },
    leftOut: `its icon at ${address}${more}: only https:, http: and data:image/ are passed on to clients`,
  };
}

function addressOf(value: JsonValue): string {
  return isObject(value) && typeof value.src === 'string' ? value.src : '';
}
