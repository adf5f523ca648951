// The tables of the reference page of the configuration, in Markdown, made from the schema.
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { isObject, type JsonObject, type JsonValue } from '../../src/core/json.ts';

/** The line below which the page is generated; people write what stands above it. */
export const GENERATED =
  '<!-- The rest is generated from src/config/schema.ts by `npm run generate`; change the schema, not this part. -->';

/** The generated part of the page. */
export function configReference(): string {
  const schema = configJsonSchema();
  const server = isObject(schema.definitions) ? schema.definitions.Server : undefined;
  const sections = Object.entries(propertiesOf(schema)).flatMap(([key, value]) => topSection(key, value));
  const serverRows = isObject(server) ? rowsOf(server, '') : [];
  const top = ['## Keys', '', ...table(Object.entries(propertiesOf(schema)).map(([key, value]) => row(key, value)))];
  const entry = [
    '## mcpServers.NAME',
    '',
    'One server, under `mcpServers` or in `servers.d`.',
    '',
    ...table(serverRows),
  ];
  return `${[GENERATED, '', ...top, '', ...sections, ...entry].join('\n')}\n`;
}

function topSection(key: string, schema: JsonObject): string[] {
  const rows = rowsOf(schema, '');
  return rows.length === 0 ? [] : [`## ${key}`, '', textOf(schema.description), '', ...table(rows), ''];
}

/** A row for each key, nested keys after their parent. */
function rowsOf(schema: JsonObject, prefix: string): string[] {
  return Object.entries(propertiesOf(schema)).flatMap(([key, value]) => {
    const name = `${prefix}${key}`;
    const items = isObject(value.items) ? rowsOf(value.items, `${name}[].`) : [];
    return [row(name, value), ...rowsOf(value, `${name}.`), ...items];
  });
}

function row(name: string, schema: JsonObject): string {
  const cells = [`\`${name}\``, typeOf(schema), defaultOf(schema), textOf(schema.description)];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(rows: readonly string[]): string[] {
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows];
}

function defaultOf(schema: JsonObject): string {
  const { default: value } = schema;
  if (value === undefined || (isObject(value) && Object.keys(value).length === 0)) return '';
  return `\`${JSON.stringify(value)}\``;
}

function typeOf(schema: JsonObject): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((word) => `\`${JSON.stringify(word)}\``).join(', ');
  const alternatives = variantsOf(schema);
  if (alternatives.some((variant) => textOf(variant.pattern).includes('MiB'))) return 'size';
  if (alternatives.some((variant) => textOf(variant.pattern).includes('ms'))) return 'duration';
  if (alternatives.length > 0) return [...new Set(alternatives.map(typeOf))].join(' or ');
  if (schema.type === 'array') return isObject(schema.items) ? `list of ${plural(typeOf(schema.items))}` : 'list';
  if (Array.isArray(schema.type)) return schema.type.map(textOf).join(' or ');
  return schema.type === 'integer' ? 'whole number' : textOf(schema.type);
}

function plural(type: string): string {
  return type.includes(' ') ? `(${type})` : `${type}s`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function variantsOf(schema: JsonObject): JsonObject[] {
  return Array.isArray(schema.anyOf) ? schema.anyOf.filter(isObject) : [];
}

/** The keys of an object schema; of alternatives, those of the object schema among them. */
function propertiesOf(schema: JsonObject): Record<string, JsonObject> {
  const own: JsonValue | undefined =
    schema.properties ?? variantsOf(schema).find(({ properties }) => isObject(properties))?.properties;
  if (!isObject(own)) return {};
  return Object.fromEntries(Object.entries(own).filter((pair): pair is [string, JsonObject] => isObject(pair[1])));
}
