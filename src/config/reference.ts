// The reference page of the configuration in Markdown, made of the schema.
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { configJsonSchema } from './json-schema.ts';

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/schema.ts. -->

The configuration is \`mcp-gateway.json\`: JSON in which comments and trailing commas are allowed. It is the first of these that exists:

1. the file that \`--config\` names;
2. the file that \`MCP_GATEWAY_CONFIG\` names;
3. \`./mcp-gateway.json\`;
4. \`mcp-gateway/mcp-gateway.json\` in the user's configuration folder: \`$XDG_CONFIG_HOME\` or \`~/.config\`, on macOS
   \`~/Library/Application Support\`, on Windows \`%APPDATA%\`.

If one of the first two names a file that does not exist, that is an error; nothing else is tried. Relative paths in a file are
relative to that file.

## servers.d

Every \`*.json\` file in the folder \`servers.d\` beside the configuration adds servers, in the order of the file names. A file
holds one server (the file's name is its name), an \`mcpServers\` map as clients write it, or a bare map of names to servers.
A file or an entry that is wrong takes out that server alone. Of two servers with the same name the first one counts: the
main file before \`servers.d\`. Files must be regular files of at most 1 MiB. Symbolic links are followed, as mounted configurations are
made of them, where each link, folder and file on the way belongs to this user or root and others may not write it; else that file alone
is refused.

## Who decides what is started

Who can change a configuration decides what is started as the gateway's user. The gateway therefore looks at the owner and the mode of
the main file, of the files of \`servers.d\`, and of every folder that leads to them. Its own user and root may change them:

| who else can change it | what becomes of it |
|---|---|
| everybody (\`o+w\`) | refused; a sticky folder such as \`/tmp\` is fine, and so is a mount that is read-only; a warning where the file system keeps no modes (FAT, SMB, \`/mnt/c\` of WSL) |
| another user, who owns it | refused; a gateway of root warns, as \`sudo\` and containers often run it on files of a user |
| a group (\`g+w\`) | a warning; not where it is that of root, or has the number of the owner, as a user's own group has |

A folder or main file that is refused makes the whole configuration invalid; a file of \`servers.d\` is out alone. Windows has no such modes,
and nothing is checked there.

The folders are held open from the start. When another folder has come into the place of one, nothing is read from it: the reload is refused with
the reason, the last good configuration stays in force, and \`/readyz\` and \`mcp-gateway servers\` say so. Otherwise a server could rename
the folder and put one of its own there. Restart the gateway if the new folder is the right one, for example after a checkout that has made
\`servers.d\` anew. Files may be replaced at any time, and links pointed elsewhere; a \`servers.d\` that was not there may appear.

A server whose arguments name a directory that holds the gateway's state, its configuration or \`servers.d\` (or a folder inside of the state or
\`servers.d\`) is not started: through its tools every client could add a server, or read the keys. Files are fine, whatever they are. Name a
directory of its own, or set \`allowGatewayFiles\`.

Variables in \`env\` that make a program load something else than its command says (\`LD_PRELOAD\`, \`NODE_OPTIONS\`, \`BASH_ENV\` and
their like) get a warning with their place, because a pasted entry may hide in them what it starts. They are set all the same: some entries need them.

## References

Every string of a server's entry, and every token under \`auth.tokens\`, may contain references:

| written | means |
|---|---|
| \`\${env:NAME}\`, \`\${NAME}\` | the environment variable of the gateway |
| \`\${env:NAME:-default}\`, \`\${NAME:-default}\` | the same; the default if it is not set or empty |
| \`\${file:path}\` | the content of the file, without the line break at its end; relative to the file that names it |
| \`$\${\` | a plain \`\${\` |

A reference without a value disables that server alone, and \`mcp-gateway servers\` says why; in \`auth.tokens\` it is an error.
References of a disabled server are not read.

## Values

A **size** is a number of bytes, or a string with a unit: \`"512KiB"\`, \`"4MiB"\`, \`"1.5GB"\`. A **duration** is a number of
milliseconds, or a string with a unit: \`"500ms"\`, \`"60s"\`, \`"5m"\`, \`"1h"\`. A **pattern** is a name in which \`*\` stands for
any characters.

## What is an error

A key that is not known is an error at the top level and in \`listen\`, \`auth\`, \`audit\` and \`limits\`; inside a server's entry
it is a warning, because clients keep settings of their own there. An error in the main file makes the whole configuration
invalid: the gateway does not start with it, and a running one keeps the last good configuration.
`;

/** Returns the reference page. */
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
  return `${[INTRODUCTION, ...top, '', ...sections, ...entry].join('\n')}\n`;
}

function topSection(key: string, schema: JsonObject): string[] {
  const rows = rowsOf(schema, '');
  return rows.length === 0 ? [] : [`## ${key}`, '', textOf(schema.description), '', ...table(rows), ''];
}

/** A row for each key, nested ones after their parent. */
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

/** The keys of an object schema; of alternatives, those of the object among them. */
function propertiesOf(schema: JsonObject): Record<string, JsonObject> {
  const own: JsonValue | undefined =
    schema.properties ?? variantsOf(schema).find(({ properties }) => isObject(properties))?.properties;
  if (!isObject(own)) return {};
  return Object.fromEntries(Object.entries(own).filter((pair): pair is [string, JsonObject] => isObject(pair[1])));
}
