// What is offered is taken by every client: one malformed definition costs nothing but itself, whatever is wrong with it.
import fc from 'fast-check';
import { beforeAll, expect, test, vi } from 'vitest';
import { buildCatalog } from '../../src/catalog/catalog.ts';
import { NameBook } from '../../src/catalog/names.ts';
import { EMPTY_OFFER } from '../../src/catalog/offer.ts';
import type { OfferKind } from '../../src/core/call.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { OfferedList } from '../../src/core/reply.ts';
import { type Answer, answerSink } from '../../src/downstream/mcp/encode.ts';
import { LIST_KEYS } from '../../src/protocol/mcp/vocabulary.ts';
import { size } from '../size.ts';
import { type AnsweredClient, connectAll } from './answering-server.ts';

const SERVER = { name: 'gateway', version: '1.0.0' };
const METHODS: Readonly<Record<string, OfferKind>> = {
  'tools/list': 'tool',
  'prompts/list': 'prompt',
  'resources/list': 'resource',
  'resources/templates/list': 'resourceTemplate',
};

const named = {
  name: 'bad',
  title: 'A title',
  description: 'What it is',
  icons: [{ src: 'data:image/png,', mimeType: 'image/png', sizes: ['48x48'], theme: 'dark' }],
  _meta: { 'com.example/key': 1 },
};
const found = {
  ...named,
  mimeType: 'text/plain',
  annotations: { audience: ['user', 'assistant'], priority: 0.5, lastModified: '2025-01-12T15:00:58Z' },
};
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://example.com/schema',
  type: 'object',
  title: 'Out',
  properties: {
    a: { type: 'string', pattern: '^a+$', format: 'email', minLength: 1, default: 'a' },
    b: { type: ['number', 'null'], minimum: 0, multipleOf: 2, enum: [2, 4] },
    c: { type: 'array', items: { $ref: '#/$defs/Item' }, uniqueItems: true },
    d: { anyOf: [{ $ref: '#' }, { const: null }, { not: { type: 'boolean' } }] },
    e: { type: 'object', patternProperties: { '^x': true }, additionalProperties: false },
  },
  required: ['a'],
  $defs: { Item: { $anchor: 'item', type: 'string', examples: ['one'], nullable: true } },
  dependentRequired: { a: ['b'] },
  'x-vendor': { any: ['thing'] },
};

const VALID: Readonly<Record<OfferKind, JsonObject>> = {
  tool: {
    ...named,
    inputSchema: schema,
    outputSchema: schema,
    annotations: {
      title: 'A title',
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
    execution: { taskSupport: 'optional' },
  },
  prompt: { ...named, arguments: [{ name: 'one', title: 'One', description: 'The first', required: true }] },
  resource: { ...found, uri: 'x://bad', size: 5 },
  resourceTemplate: { ...found, uriTemplate: 'x://bad/{id}' },
};

/** Values that are wrong in most places; Infinity is what `1e999` is read as, and what JSON cannot write. */
const WRONG: readonly (JsonValue | undefined)[] = [
  ...[
    undefined,
    null,
    true,
    false,
    0,
    5,
    -1,
    1.5,
    Infinity,
    '',
    'x',
    'yesterday',
    '2025-01-12',
    '2025-02-30T00:00:00Z',
    '[',
    '#/nowhere',
  ],
  ...['#', '#/$defs/Item', '#item', 'other.json', 'object', '__proto__', 'constructor'],
  ...[[], ['x'], [5], [null], [true], [{}], {}, { a: true }, { a: false }, { a: 5 }, { a: null }, { a: [] }],
  ...[{ $ref: '#/nowhere' }, { type: 'text' }, { pattern: '(' }, { $id: 'x' }, { id: 5 }, { $anchor: 'item' }],
];

/** Every place of a value, as the keys that lead there. */
function placesOf(value: JsonValue | undefined): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  const below = Object.entries(value).flatMap(([key, each]) => placesOf(each).map((place) => [key, ...place]));
  return [[], ...below];
}

/** The same value with another one in one place; a key that need not be there is put there. */
function replaced(
  value: JsonValue | undefined,
  place: readonly string[],
  by: JsonValue | undefined,
): JsonValue | undefined {
  const [key, ...rest] = place;
  if (key === undefined) return by;
  const copy = Array.isArray(value) ? [...value] : { ...(value as JsonObject) };
  (copy as JsonObject)[key] = replaced((copy as JsonObject)[key], rest, by);
  return copy;
}

const good = (which: string): JsonObject => ({
  name: which,
  inputSchema: { type: 'object' },
  uri: `x://${which}`,
  uriTemplate: `x://${which}/{id}`,
});

function offered(kind: OfferKind, definition: JsonObject) {
  const entries = { ...EMPTY_OFFER.entries, [kind]: [good('first'), definition, good('last')] };
  const offer = { capabilities: {}, entries };
  return buildCatalog(
    [{ server: 's', alias: 's', offer }],
    new NameBook({ names: () => [], saveNames: () => undefined }),
  );
}

const LISTERS: Readonly<Record<OfferKind, (client: AnsweredClient['client']) => Promise<object>>> = {
  tool: (client) => client.listTools(),
  prompt: (client) => client.listPrompts(),
  resource: (client) => client.listResources(),
  resourceTemplate: (client) => client.listResourceTemplates(),
};

let list = new OfferedList([]);
let clients: AnsweredClient[] = [];
beforeAll(async () => {
  vi.spyOn(console, 'warn').mockImplementation(() => undefined); // what a validator says of formats that it does not know
  clients = await connectAll(
    ({ id, method, era }) =>
      answerSink({ id, era, server: SERVER }).end({
        kind: 'list',
        of: METHODS[method] ?? 'tool',
        list,
        isPrivate: false,
      }) as Answer, // a list is no promise
  );
});

/** The names that each client reads of a list with the definition in it. */
async function readBy(kind: OfferKind, definition: JsonObject): Promise<Record<string, string[]>> {
  list = offered(kind, definition).all.lists[kind];
  const read: Record<string, string[]> = {};
  for (const { kind: of, client } of clients) {
    const listed = (await LISTERS[kind](client)) as Record<string, { name: string }[]>;
    read[of] = (listed[LIST_KEYS[kind]] ?? []).map(({ name }) => name);
  }
  return read;
}

test.each(Object.keys(VALID) as OfferKind[])('a %s with one wrong value costs no client the others', async (kind) => {
  const places = placesOf(VALID[kind]).filter((place) => place.length > 0);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...places), fc.constantFrom(...WRONG), async (place, wrong) => {
      const definition = replaced(VALID[kind], place, wrong) as JsonObject;
      for (const names of Object.values(await readBy(kind, definition))) {
        expect(names.at(0)).toMatch(/first$/);
        expect(names.at(-1)).toMatch(/last$/);
      }
    }),
    { numRuns: size(100, 3_000) },
  );
});

test.each(Object.keys(VALID) as OfferKind[])('a valid %s is offered as it is', async (kind) => {
  const catalog = offered(kind, VALID[kind]);

  expect([...catalog.warnings.values()]).toEqual([]);
  expect(catalog.server('s')?.lists[kind].entries[1]?.definition).toEqual(VALID[kind]);
  for (const names of Object.values(await readBy(kind, VALID[kind]))) expect(names).toHaveLength(3);
});

test.each([
  ['tool', { description: null }, 'its description is not a string'],
  ['tool', { icons: [{ src: 'a' }, { theme: 'dark' }] }, 'its icons[1].src is missing'],
  ['tool', { inputSchema: { type: 'string' } }, 'its inputSchema.type is not object'],
  ['tool', { inputSchema: { type: 'object', properties: { a: 5 } } }, 'its inputSchema.properties.a is not a schema'],
  ['resource', { annotations: { priority: 5 } }, 'its annotations.priority is not a number from 0 to 1'],
] as const)('the warning about a %s with %j says what is wrong and where', (kind, wrong, why) => {
  const catalog = offered(kind, { ...VALID[kind], ...(wrong as object) });

  expect(catalog.warnings.get('s')).toEqual([expect.stringContaining(` is not offered: ${why}`)]);
});

const ICON = { mimeType: 'image/png', sizes: ['any'] };
const SAFE_ICONS = ['https://h/i.png', 'http://h/i.png', 'data:image/png;base64,AAAA', 'HTTPS://h/i.png'];
const UNSAFE_ICONS = [
  ...['javascript:alert(1)', 'JavaScript:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', 'vbscript:x'],
  ...['file:///etc/passwd', 'ftp://h/i.png', 'ws://h/i', 'data:text/html,<script>', 'app://icon', '/icon.png', ''],
];

test.each(Object.keys(VALID) as OfferKind[])(
  'a %s is offered without the icons that no client may load, and the operator is told',
  (kind) => {
    const { icons: _, ...plain } = VALID[kind];
    for (const src of UNSAFE_ICONS) {
      const mixed = offered(kind, {
        ...plain,
        icons: [{ ...ICON, src }, ...SAFE_ICONS.map((safe) => ({ src: safe }))],
      });
      const alone = offered(kind, { ...plain, icons: [{ ...ICON, src }] });

      expect(mixed.server('s')?.lists[kind].entries[1]?.definition.icons).toEqual(
        SAFE_ICONS.map((safe) => ({ src: safe })),
      );
      expect(alone.server('s')?.lists[kind].entries[1]?.definition).toEqual(plain);
      expect(alone.warnings.get('s')).toEqual([
        expect.stringContaining(
          ` is offered without its icon at ${JSON.stringify(src)}: only https:, http: and data:image/ are passed on to clients`,
        ),
      ]);
    }
  },
);

test('a warning about many icons counts them', () => {
  const catalog = offered('tool', { ...VALID.tool, icons: UNSAFE_ICONS.map((src) => ({ src })) });

  expect(catalog.warnings.get('s')?.[0]).toContain('its icon at "javascript:alert(1)" and 11 more: only');
});
