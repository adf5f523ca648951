// Tools as legacy clients are given them.
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildCatalog } from '../../src/catalog/catalog.ts';
import { legacyToolOf } from '../../src/catalog/legacy-tools.ts';
import { NameBook } from '../../src/catalog/names.ts';
import { EMPTY_OFFER } from '../../src/catalog/offer.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';

const tool = (outputSchema: JsonObject): JsonObject => ({ name: 't', inputSchema: { type: 'object' }, outputSchema });
const shown = (outputSchema: JsonObject): JsonObject =>
  legacyToolOf(tool(outputSchema)).definition.outputSchema as JsonObject;

/** Whether the validator of SDK v1 takes a value for the schema that legacy clients are given. */
const takes = (outputSchema: JsonObject, value: unknown): boolean =>
  new AjvJsonSchemaValidator().getValidator(shown(outputSchema))(value).valid;

test('a tool whose schemas every client reads is the very same', () => {
  const plain = tool({ type: 'object', properties: { a: { type: 'string' } } });

  expect(legacyToolOf(plain).definition).toBe(plain);
});

test('an output schema that is no object is wrapped', () => {
  expect(shown({ $schema: 's', type: 'array' })).toEqual({
    $schema: 's',
    type: 'object',
    properties: { result: { type: 'array' } },
    required: ['result'],
  });
  for (const schema of [{}, { anyOf: [{ type: 'object' }, { type: 'null' }] }, { type: 'array' }])
    expect(legacyToolOf(tool(schema)).wrapsOutput).toBe(true);
  expect(legacyToolOf(tool({ type: 'object' })).wrapsOutput).toBe(false);
});

test('references lead to the same place in a wrapped schema, and what only looks like one stays', () => {
  const list = { type: 'array', items: { $ref: '#/$defs/Item' }, $defs: { Item: { type: 'string' } } };
  const tree = { type: 'array', items: { $ref: '#' } };
  const root = { $ref: '#/$defs/Node', $defs: { Node: { type: 'object', properties: { $ref: { type: 'number' } } } } };
  const data = { type: 'array', items: { const: { $ref: '#/x' } } };

  expect([takes(list, { result: ['a'] }), takes(list, { result: [5] })]).toEqual([true, false]);
  expect([takes(tree, { result: [[], [[]]] }), takes(tree, { result: [[5]] })]).toEqual([true, false]);
  expect([takes(root, { result: { $ref: 5 } }), takes(root, { result: { $ref: 'x' } })]).toEqual([true, false]);
  expect([takes(data, { result: [{ $ref: '#/x' }] }), takes(data, { result: [{}] })]).toEqual([true, false]);
});

test('properties with booleans for schemas get schemas that say the same', () => {
  const properties = { a: true, b: false, c: { type: 'string' } };
  const same = { a: {}, b: { not: {} }, c: { type: 'string' } };
  const given = { name: 't', inputSchema: { type: 'object', properties } };

  expect(legacyToolOf(given).definition).toEqual({ name: 't', inputSchema: { type: 'object', properties: same } });
  expect(shown({ type: 'object', properties })).toEqual({ type: 'object', properties: same });
});

test('schemas of one name are not taken for one another', () => {
  const validator = new AjvJsonSchemaValidator();
  const named = (type: string) =>
    shown({ $id: 'https://example.com/out', type: 'object', properties: { a: { type } } });

  expect(validator.getValidator(named('string'))({ a: 'text' }).valid).toBe(true);
  expect(validator.getValidator(named('number'))({ a: 'text' }).valid).toBe(false);
});

test.each([
  ['a reference that leads nowhere', { $ref: '#/$defs/Nothing' }],
  ['a reference to itself', { $ref: '#/properties/a' }],
  ['references in a circle', { not: { $ref: '#/properties/a/if' }, if: { $ref: '#/properties/a/not' } }],
  ['a reference by a name that nothing has', { $ref: '#nobody' }],
  ['a reference to somewhere else', { $ref: 'https://example.com/schema.json' }],
  ['an unknown type', { type: 'text' }],
  ['a pattern that is none', { type: 'string', pattern: '(' }],
  ['a pattern that only old engines read', { type: 'string', pattern: '\\-' }],
  ['no end', deep(2_000)],
])('an output schema with %s is left out alone, with one warning; a modern client gets it', (_what, schema) => {
  const definition = tool({ type: 'object', properties: { a: schema } });
  const offer = { capabilities: {}, entries: { ...EMPTY_OFFER.entries, tool: [definition] } };
  const catalog = buildCatalog(
    [{ server: 's', alias: 's', offer }],
    new NameBook({ names: () => [], saveNames: () => undefined }),
  );

  expect(catalog.warnings.get('s')).toEqual([
    expect.stringMatching(/^the tool "t" is offered to older clients without its outputSchema: /),
  ]);
  expect(catalog.server('s')?.lists.tool.entries[0]?.definition).toBe(definition);
  expect(catalog.server('s')?.lists.tool.entries[0]?.legacy).toEqual({ name: 't', inputSchema: { type: 'object' } });
  expect(catalog.traits({ server: 's', original: 't' }).wrapsOutput).toBe(false);
});

test('the validator of SDK v1 compiles every output schema that legacy clients are given', () => {
  let given = 0;
  fc.assert(
    fc.property(schemas, (schema) => {
      const output = legacyToolOf(tool(schema)).definition.outputSchema as JsonObject | undefined;
      if (output === undefined) return;
      given++;
      new AjvJsonSchemaValidator().getValidator(output);
    }),
    { numRuns: 300 },
  );
  expect(given).toBeGreaterThan(100);
});

function deep(levels: number): JsonObject {
  let schema: JsonObject = {};
  for (let level = 0; level < levels; level++) schema = { not: schema };
  return schema;
}

/** Schemas of the keywords that validators look at, with values that are right, or nearly so. */
const { schemas } = fc.letrec<{ schemas: JsonObject; schema: JsonValue }>((tie) => {
  const mostly = (right: fc.Arbitrary<unknown>, ...wrong: unknown[]) =>
    fc.oneof({ arbitrary: right, weight: 20 }, { arbitrary: fc.constantFrom(...wrong), weight: 1 });
  const each = (keys: string[], value: fc.Arbitrary<unknown>) => keys.map((key) => fc.tuple(fc.constant(key), value));
  const schema = mostly(tie('schema'), null, 3, []);
  const list = mostly(fc.array(schema, { minLength: 1, maxLength: 2 }), [], {});
  const named = mostly(fc.dictionary(fc.constantFrom('a', 'b', '__proto__', '$id', 'a/b'), schema, { maxKeys: 2 }), []);
  const number = mostly(fc.constantFrom(0, 1, 2), -1, 1.5, '1', true);
  const type = fc.constantFrom('object', 'array', 'string', 'number', 'integer', 'boolean', 'null');
  const values = [
    ...each(['type'], mostly(fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 2 })), 'text', [], 5)),
    ...each(['enum'], mostly(fc.constant(['a', 1]), [], 'a')),
    ...each(['required'], mostly(fc.constant(['a']), [1], true)),
    ...each(['pattern'], mostly(fc.constantFrom('^a+$', '\\d'), '(', '\\-', 5)),
    ...each(['format'], mostly(fc.constantFrom('email', 'date-time'), 5)),
    ...each(['nullable', 'uniqueItems'], mostly(fc.boolean(), 'true', null)),
    ...each(['maximum', 'exclusiveMinimum', 'multipleOf', 'minLength', 'maxItems', 'minProperties'], number),
  ];
  const nested = [
    ...each(['items', 'additionalItems', 'additionalProperties', 'contains', 'propertyNames'], schema),
    ...each(['not', 'if', 'then'], schema),
    ...each(['allOf', 'anyOf', 'oneOf', 'items', 'prefixItems'], list),
    ...each(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'], named),
  ];
  const pointers = [
    ...each(
      ['$ref'],
      fc.constantFrom('#', '#/$defs/a', '#/properties/a', '#here', '#/$defs/a~1b', 'https://a.example'),
    ),
    ...each(['$anchor'], fc.constantFrom('here', '1')),
    ...each(['$id', '$async'], fc.constantFrom('https://a.example', '#here', true)),
    ...each(['x-other'], fc.constantFrom({ $id: 'x' }, { a: [1] }, ['$ref'], { $ref: '#/none' })),
  ];
  const keyword = fc.oneof(
    { arbitrary: fc.oneof(...values), weight: 3 },
    { arbitrary: fc.oneof(...nested), weight: 4 },
    { arbitrary: fc.oneof(...pointers), weight: 1 },
  );
  const object = fc.array(keyword, { maxLength: 5 }).map((all) => Object.fromEntries(all) as JsonObject);
  return { schemas: object, schema: fc.oneof({ maxDepth: 4 }, fc.boolean(), object) };
});
