// Makes the reference page of the configuration, in Markdown, from the schema.
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
A fault in a file or an entry takes out that server alone. Of two servers with the same name the first one counts: the
main file before \`servers.d\`. Files must be regular files of at most 1 MiB. The gateway follows symbolic links, of which mounted
configurations are made, where each link, folder and file on the way belongs to this user or root and others may not write it. Else it
refuses that file alone.

## Who decides what is started

Everybody who can change the configuration can start programs as the gateway's user. The gateway therefore checks the owner and the mode
of the main file, of the files of \`servers.d\`, and of every folder that leads to them. Its own user and root may change them:

| who else can change it | what the gateway does |
|---|---|
| everybody (\`o+w\`) | refuses it; accepts a sticky folder such as \`/tmp\` and a read-only mount; warns where the file system has no modes (FAT, SMB, \`/mnt/c\` of WSL) |
| another user, who owns it | refuses it; a gateway that runs as root warns, since \`sudo\` and containers often run it on files of a user |
| a group (\`g+w\`) | warns; not about the group of root, nor about one with the number of the owner, as a user's own group has |

A refused folder or main file makes the whole configuration invalid; a refused file of \`servers.d\` takes out its own servers alone.
Windows has no such modes, and the gateway checks nothing there.

The gateway holds the folders open from its start. If another folder replaces one of them, it reads nothing from the new one: it refuses the
reload with the reason, the last good configuration stays in force, and \`/readyz\` and \`mcp-gateway servers\` say so. Otherwise a server
could rename the folder and put one of its own there. Restart the gateway if the new folder is the right one, for example after a checkout
that created \`servers.d\` again. You may replace files and change the targets of links at any time, and create \`servers.d\` later.

A server whose arguments name a directory that holds the gateway's state, its configuration or \`servers.d\` (or a folder inside of the state or
\`servers.d\`) is not started: through its tools every client could add a server, or read the keys. An argument may name any file. Name a directory of
its own, or set \`allowGatewayFiles\`.

The gateway warns of variables in \`env\` that make a program load something that its command does not name (\`LD_PRELOAD\`,
\`NODE_OPTIONS\`, \`BASH_ENV\` and others), because a pasted entry may hide in them what it starts. It sets them nevertheless, since some
entries need them.

## References

Every string of a server's entry, and every token under \`auth.tokens\`, may contain references:

| written | means |
|---|---|
| \`\${env:NAME}\`, \`\${NAME}\` | the environment variable of the gateway |
| \`\${env:NAME:-default}\`, \`\${NAME:-default}\` | the same; the default if it is not set or empty |
| \`\${file:path}\` | the content of the file without the line break at its end; the path is relative to the file that names it |
| \`$\${\` | a plain \`\${\` |

A reference without a value disables that server alone, and \`mcp-gateway servers\` says why; in \`auth.tokens\` it is an error.
The gateway does not resolve references of a disabled server.

## Values

A **size** is a number of bytes, or a string with a unit: \`"512KiB"\`, \`"4MiB"\`, \`"1.5GB"\`. A **duration** is a number of
milliseconds, or a string with a unit: \`"500ms"\`, \`"60s"\`, \`"5m"\`, \`"1h"\`. A **pattern** is a name in which \`*\` stands for
any characters.

## What is an error

An unknown key is an error at the top level and in \`listen\`, \`auth\`, \`audit\` and \`limits\`; inside a server's entry
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
