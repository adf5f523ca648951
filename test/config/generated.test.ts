// The committed JSON Schema and reference page are those of the schema. UPDATE_GENERATED=1 rewrites them.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { isObject, type JsonValue } from '../../src/core/json.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { parseDocument } from '../../src/config/positions.ts';
import { configReference, GENERATED } from './config-reference.ts';

const root = join(import.meta.dirname, '../..');

test.each([
  ['mcp-gateway.schema.json', () => `${JSON.stringify(configJsonSchema(), null, 2)}\n`],
  ['docs/reference/configuration.md', configurationPage],
])('%s is up to date', (name, generate) => {
  const file = join(root, name);
  if (process.env.UPDATE_GENERATED === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, generate());
  }

  expect(readFileSync(file, 'utf8')).toBe(generate());
});

test('every key has a description, and every description is on the reference page', () => {
  const page = configReference();
  const described = descriptionsOf(configJsonSchema(), '');

  expect(described.length).toBeGreaterThan(40);
  for (const [path, description] of described) {
    expect(description, path).toMatch(/\S/);
    expect(page, path).toContain(description.replaceAll('|', '\\|'));
  }
});

test.each(['minimal.json', 'full.json', 'pasted-from-clients.json'])('editors find no fault in good/%s', (name) => {
  const text = readFileSync(join(root, 'fixtures/config/good', name), 'utf8');

  expect(editorSchema().safeParse(parseDocument(name, text).value).error).toBeUndefined();
});

test.each([
  { lissten: {} },
  { listen: { port: -1 } },
  { mcpServers: { a: { command: 5 } } },
  { mcpServers: { a: { type: 'stdoi', command: 'x' } } },
  { mcpServers: { 'a\nb': { command: 'x' } } },
  { limits: { body: 'big' } },
  { audit: { durability: 'power' } },
])('editors find the fault in %j', (value) => {
  expect(editorSchema().safeParse(value).success).toBe(false);
});

/** The page: the part that people write, as it is, and the tables. */
function configurationPage(): string {
  const [written = ''] = readFileSync(join(root, 'docs/reference/configuration.md'), 'utf8').split(GENERATED, 1);
  return written + configReference();
}

/** What an editor makes of the JSON Schema. */
function editorSchema() {
  return z.fromJSONSchema(JSON.parse(JSON.stringify(configJsonSchema())) as Parameters<typeof z.fromJSONSchema>[0]);
}

/** The keys that a schema declares, at any depth, with their descriptions. */
function descriptionsOf(schema: JsonValue | undefined, path: string): [string, string][] {
  if (Array.isArray(schema)) return schema.flatMap((item) => descriptionsOf(item, path));
  if (!isObject(schema)) return [];
  const { properties, ...rest } = schema;
  const own = isObject(properties) ? Object.entries(properties) : [];
  return [
    ...own.flatMap(([key, value]): [string, string][] => [
      [`${path}.${key}`, isObject(value) && typeof value.description === 'string' ? value.description : ''],
      ...descriptionsOf(value, `${path}.${key}`),
    ]),
    ...Object.values(rest).flatMap((value) => descriptionsOf(value, path)),
  ];
}
