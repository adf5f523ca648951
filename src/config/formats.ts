// The formats in which clients configure servers: one table of where the servers are in the file and how the keys of an entry translate.
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import type { Path } from './problems.ts';

/** An entry with the keys of the schema, and the place of each of its parts in the file. */
export interface Translated {
  readonly entry: JsonObject;
  /** The place in the written entry of a place in `entry`. */
  readonly placeOf: (within: Path) => Path;
  /** Why it holds no server. */
  readonly fault?: string;
}

/** How one kind of client writes its servers. */
export interface Format {
  /** The path of the servers in the file. */
  readonly at: readonly [string, ...string[]];
  /** Whether they are a list of entries that have a `name`; else they are an object of entries by name. */
  readonly list?: true;
  readonly translate?: (entry: JsonObject) => Translated;
}

/** The key of our own format, which most clients share. */
export const OWN_KEY = 'mcpServers';

/** Of several formats for one place the first that fits counts. Ours come first, since the first of two servers of one name counts. */
export const FORMATS: readonly Format[] = [
  { at: [OWN_KEY], list: true, translate: fromContinue }, // Continue
  { at: [OWN_KEY] }, // Claude Desktop and Code, Cursor, Windsurf, Cline, Roo, Gemini CLI, Copilot, LM Studio and others
  { at: ['servers'] }, // VS Code: mcp.json
  { at: ['mcp', 'servers'], translate: fromOpencode }, // VS Code: settings.json; opencode from version 2
  { at: ['mcp'], translate: fromOpencode }, // opencode, Crush
  { at: ['context_servers'], translate: fromZed }, // Zed
  { at: ['amp.mcpServers'] }, // Amp
];

/** Top-level keys of client files that hold no servers, or none that the gateway reads. */
export const CLIENT_FILE_KEYS: ReadonlySet<string> = new Set(
  [
    // Claude Desktop
    'globalShortcut preferences scale locale darkMode userThemeMode isUsingBuiltInNodeForMcp isDxtAutoUpdatesEnabled menuBarEnabled',
    // Claude Code
    'projects numStartups installMethod autoUpdates userID oauthAccount hasCompletedOnboarding permissions hooks env tipsHistory firstStartTime customApiKeyResponses',
    'enabledMcpjsonServers disabledMcpjsonServers enableAllProjectMcpServers statusLine',
    // VS Code
    'inputs sandbox',
    // Gemini CLI
    'mcp selectedAuthType general ui ide security context model tools theme telemetry privacy contextFileName advanced extensions',
    // opencode and Crush
    'provider providers agent mode small_model keybinds command permission instructions plugin share autoupdate formatter lsp options',
    'username disabled_providers enabled_providers experimental tui snapshot logLevel',
    // Zed
    'agent_servers assistant audio auto_update buffer_font_size features language_models languages tab_size terminal ui_font_size vim_mode',
    // Continue
    'models name version schema rules prompts docs data tabAutocompleteModel embeddingsProvider contextProviders slashCommands customCommands',
  ]
    .join(' ')
    .split(' '),
);

/** An entry that needs no translation. */
export function asWritten(entry: JsonObject): Translated {
  return { entry, placeOf: (within) => within };
}

/** Tells whether the value at the place of a format holds servers in that format. */
export function fits({ at, list }: Format, value: JsonValue | undefined): boolean {
  if (value === undefined) return false;
  if (list === true) return Array.isArray(value);
  return at[0] === OWN_KEY || isMapOfServers(value);
}

/** Tells whether a value is an object of objects, and not itself a server. */
export function isMapOfServers(value: JsonValue | undefined): value is JsonObject {
  return isObject(value) && !isServer(value) && Object.values(value).every(isObject);
}

/** Tells whether an object says how a server is reached. */
export function isServer(value: JsonValue | undefined): boolean {
  if (!isObject(value)) return false;
  return ['command', 'url', 'serverUrl', 'httpUrl', 'type'].some(
    (key) => typeof value[key] === 'string' || Array.isArray(value[key]),
  );
}

/** Lists of tools in the entries of clients, and which of our patterns each is. */
export const TOOL_LISTS: Readonly<Record<string, 'allow' | 'deny'>> = {
  includeTools: 'allow',
  enabledTools: 'allow',
  enabled_tools: 'allow',
  excludeTools: 'deny',
  disabledTools: 'deny',
  disabled_tools: 'deny',
};

/** Makes patterns of a client's lists of tools, so that the gateway offers no more than the client; an entry's own patterns win. */
export function withToolLists({ entry, placeOf, ...rest }: Translated): Translated {
  const lists = Object.keys(TOOL_LISTS).filter((key) => Array.isArray(entry[key]));
  if (entry.tools !== undefined || lists.length === 0) return { entry, placeOf, ...rest };
  const tools: Record<string, JsonValue[]> = {};
  const places: Record<string, Path> = {};
  for (const key of lists.filter((name) => (entry[name] as JsonValue[]).length > 0)) {
    const kind = TOOL_LISTS[key] ?? 'deny';
    tools[kind] = [...(tools[kind] ?? []), ...(entry[key] as JsonValue[])];
    places[kind] = [key];
  }
  const others = Object.entries(entry).filter(([key]) => !lists.includes(key));
  const toWritten = (within: Path) => (within[0] === 'tools' ? moved(within.slice(1), places) : within);
  return { entry: { ...Object.fromEntries(others), tools }, placeOf: (within) => placeOf(toWritten(within)), ...rest };
}

/** opencode: `command` is a list, `environment` is `env`, references are `{env:NAME}`, and `timeout` bounds the start. */
function fromOpencode(written: JsonObject): Translated {
  const { command, environment, timeout, ...rest } = written;
  const entry: JsonObject = { ...rest };
  const places: Record<string, Path> = {};
  const own = written.type === 'local' || written.type === 'remote';
  if (Array.isArray(command)) [entry.command, entry.args] = [command[0] ?? '', command.slice(1)];
  else if (command !== undefined) entry.command = command;
  if (environment !== undefined) {
    entry.env = environment;
    places.env = ['environment'];
  }
  if (timeout !== undefined && own) entry.timeouts = { start: timeout };
  else if (timeout !== undefined) entry.timeout = timeout;
  const placeOf = (within: Path): Path => {
    const [key, ...below] = within;
    if (Array.isArray(command) && key === 'command') return ['command', 0];
    if (Array.isArray(command) && key === 'args')
      return ['command', ...below.map((part, depth) => (depth === 0 ? Number(part) + 1 : part))];
    if (own && key === 'timeouts') return ['timeout'];
    return moved(within, places);
  };
  return { entry: own ? withOurReferences(entry) : entry, placeOf };
}

/** Zed: older files have the program under `command.path`; of some servers only an extension knows the program. */
function fromZed(written: JsonObject): Translated {
  const { command } = written;
  if (isObject(command)) {
    const { path, ...inner } = command;
    const entry = { ...written, ...inner, ...(path === undefined ? {} : { command: path }) };
    if (path === undefined) delete (entry as JsonObject).command;
    const places = Object.fromEntries([
      ...Object.keys(inner).map((key): [string, Path] => [key, ['command', key]]),
      ['command', ['command', 'path'] as Path],
    ]);
    return { entry, placeOf: (within) => moved(within, places) };
  }
  if (isServer(written)) return asWritten(written);
  const fault = 'comes from an extension of Zed, which alone knows its program; write "command" and "args" yourself';
  return { ...asWritten(written), fault };
}

/** Continue: HTTP headers are in `requestOptions`, and `apiKey` is a bearer token. */
function fromContinue(written: JsonObject): Translated {
  const { name: _name, requestOptions, apiKey, ...entry } = written;
  const places: Record<string, Path> = {};
  const given = isObject(requestOptions) ? requestOptions.headers : undefined;
  if (given !== undefined && entry.headers === undefined) {
    entry.headers = given;
    places.headers = ['requestOptions', 'headers'];
  }
  if (typeof apiKey === 'string' && (entry.headers === undefined || isObject(entry.headers)))
    entry.headers = { Authorization: `Bearer ${apiKey}`, ...entry.headers };
  return { entry, placeOf: (within) => moved(within, places) };
}

function moved(within: Path, places: Readonly<Record<string, Path>>): Path {
  const [key, ...below] = within;
  if (typeof key !== 'string' || !Object.hasOwn(places, key)) return within;
  return [...(places[key] ?? []), ...below];
}

function withOurReferences<T extends JsonValue | undefined>(value: T): T {
  if (typeof value === 'string') return value.replace(/(?<!\$)\{(env|file):([^{}]*)\}/g, '${$1:$2}') as T;
  if (Array.isArray(value)) return value.map(withOurReferences) as T;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withOurReferences(item)])) as T;
}
