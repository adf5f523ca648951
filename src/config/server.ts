// Makes a ServerConfig of an entry: makes paths absolute, unifies spellings, wraps and lists secrets.
import { createHash } from 'node:crypto';
import { dirname, isAbsolute, resolve } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { ServerConfig, Timeouts, TlsConfig } from './config.ts';
import { OWN_HEADERS } from './entry-checks.ts';
import { safeArgs, safeUrl } from './excerpts.ts';
import { fromHome } from './home.ts';
import { ALIAS, serverEntry, type ServerEntry, TRANSPORTS, URL_KEYS } from './schema.ts';

/** The place of an entry in its file, and its name. */
export interface EntryPlace {
  readonly name: string;
  readonly source: ServerConfig['source'];
  readonly places?: ServerConfig['places'];
  readonly mainDirectory: string;
  /** The folder that `~` means. */
  readonly home: string;
  /** The entry as written, with the keys of the schema. */
  readonly raw: JsonObject;
}

/** What the loader could read of an entry that cannot be used. */
export interface BrokenEntry {
  readonly entry?: ServerEntry | undefined;
  readonly resolved?: readonly string[];
}

/** Shorter values are not redacted: they occur too often in ordinary text. */
const SHORTEST_SECRET = 6;
const DEFAULTS = serverEntry.parse({});

/** A server that can be used. `resolved` are the values of its references. */
export function usableServer(entry: ServerEntry, place: EntryPlace, resolved: readonly string[]): ServerConfig {
  const { raw, home } = place;
  const directory = dirname(place.source.file);
  const cwd = workingDirectory(entry, { directory, mainDirectory: place.mainDirectory, home });
  const url = urlOf(entry);
  const headers = Object.entries(entry.headers).filter(([name]) => !OWN_HEADERS.has(name.toLowerCase()));
  const reach = {
    transport: transportOf(entry),
    ...(entry.command === undefined
      ? {}
      : { command: programPath(fromHome(entry.command, home), entry.cwd === undefined ? directory : cwd) }),
    args: entry.args,
    cwd,
    ...(url === undefined ? {} : { url }),
    timeouts: timeoutsOf(entry, raw),
    ...(entry.tls === undefined ? {} : { tls: tlsOf(entry.tls, (path) => resolve(directory, fromHome(path, home))) }),
  };
  const texts = { env: entry.env, headers: Object.fromEntries(headers) };
  return {
    ...skeleton(place),
    ...reach,
    alias: entry.alias ?? place.name,
    env: wrap(texts.env),
    headers: wrap(texts.headers),
    ...sharingOf(entry, reach.transport),
    ...offerOf(entry),
    secrets: secretsOf({ ...texts, url, resolved }),
    digest: digestOf({ ...reach, ...texts }),
  };
}

/** A disabled server: shown, never started. Its references are not resolved. */
export function disabledServer(entry: ServerEntry, place: EntryPlace): ServerConfig {
  return {
    ...skeleton(place),
    transport: transportOf(entry),
    alias: entry.alias ?? place.name,
    disabled: true,
    ...offerOf(entry),
    digest: digestOf({ disabled: true }),
  };
}

/** A server that cannot be used, and why. It keeps the patterns of its entry, since its last known offer may be shown. */
export function brokenServer(place: EntryPlace, problem: string, known: BrokenEntry = {}): ServerConfig {
  const { entry, resolved = [] } = known;
  return {
    ...skeleton(place),
    ...(entry === undefined ? {} : offerOf(entry)),
    problem,
    secrets: secretsOf({ env: {}, headers: {}, url: undefined, resolved }),
    digest: digestOf({ problem, raw: place.raw }),
  };
}

/** The working directory of a program: `cwd` relative to the file of the entry, by default the directory of the main file. */
export function workingDirectory(
  { cwd }: Pick<ServerEntry, 'cwd'>,
  {
    directory,
    mainDirectory,
    home,
  }: { readonly directory: string; readonly mainDirectory: string; readonly home: string },
): string {
  return cwd === undefined ? mainDirectory : resolve(directory, fromHome(cwd, home));
}

/** The transport of an entry: that of its type, else the one that its keys imply. */
export function transportOf(entry: Pick<ServerEntry, 'type' | 'transport' | 'command'>): ServerConfig['transport'] {
  const type = entry.type ?? entry.transport;
  if (type !== undefined) return TRANSPORTS[type];
  return entry.command === undefined ? 'streamable-http' : 'stdio';
}

/** Tells whether an entry is disabled, in either spelling. */
export function isDisabled(raw: JsonObject): boolean {
  return raw.disabled === true || raw.enabled === false;
}

function skeleton({ name, source, places = {}, mainDirectory, raw }: EntryPlace): ServerConfig {
  const alias = typeof raw.alias === 'string' && ALIAS.test(raw.alias) ? raw.alias : name;
  return {
    name,
    alias,
    disabled: isDisabled(raw),
    transport: guessTransport(raw),
    args: [],
    env: {},
    cwd: mainDirectory,
    headers: {},
    timeouts: pickTimeouts(DEFAULTS.timeouts),
    ...sharingOf(DEFAULTS, 'stdio'),
    ...offerOf(DEFAULTS),
    source,
    places,
    display: displayOf(raw),
    secrets: [],
    digest: '',
  };
}

function guessTransport(raw: JsonObject): ServerConfig['transport'] {
  const type = raw.type ?? raw.transport;
  if (typeof type === 'string' && Object.hasOwn(TRANSPORTS, type)) return TRANSPORTS[type as keyof typeof TRANSPORTS];
  return URL_KEYS.some((key) => raw[key] !== undefined) ? 'streamable-http' : 'stdio';
}

/** The command line or URL of a server as written, with unresolved references. */
function displayOf(raw: JsonObject): string {
  const url = URL_KEYS.map((key) => raw[key]).find((value) => typeof value === 'string');
  if (url !== undefined) return safeUrl(url);
  if (typeof raw.command !== 'string') return '';
  const args = Array.isArray(raw.args) ? raw.args.map(textOf) : [];
  return [raw.command, ...safeArgs(args)].map(quoted).join(' ');
}

function textOf(value: JsonValue): string {
  return typeof value === 'object' ? '…' : String(value);
}

function quoted(word: string): string {
  return word === '' || /[\s"']/.test(word) ? JSON.stringify(word) : word;
}

function urlOf(entry: ServerEntry): string | undefined {
  return entry.url ?? entry.serverUrl ?? entry.httpUrl;
}

/** The program to start: a name without a slash stays, for the search in PATH; a path becomes absolute. */
function programPath(command: string, directory: string): string {
  const isPath = command.includes('/') || (process.platform === 'win32' && command.includes('\\'));
  return isPath && !isAbsolute(command) ? resolve(directory, command) : command;
}

/** `timeout` sets the phases that `timeouts` does not name. By default `firstByte` and `idle` do not bound a process, which may be silent while it works. */
function timeoutsOf(entry: ServerEntry, raw: JsonObject): Timeouts {
  const named = isObject(raw.timeouts) ? raw.timeouts : {};
  const given = (phase: 'firstByte' | 'idle' | 'total') =>
    named[phase] === undefined ? entry.timeout : entry.timeouts[phase];
  const { firstByte, idle, total } = entry.timeouts;
  const silence = transportOf(entry) === 'stdio' ? { firstByte: Infinity, idle: Infinity } : { firstByte, idle };
  return {
    ...pickTimeouts(entry.timeouts),
    firstByte: given('firstByte') ?? silence.firstByte,
    idle: given('idle') ?? silence.idle,
    total: given('total') ?? total,
  };
}

function pickTimeouts({ start, connect, firstByte, idle, ping, total }: ServerEntry['timeouts']): Timeouts {
  return { start, connect, firstByte, idle, ping, total };
}

function offerOf({ tools, prompts, resources }: ServerEntry): Pick<ServerConfig, 'tools' | 'prompts' | 'resources'> {
  const plain = ({ allow, deny }: ServerEntry['tools']) => ({ allow, deny });
  return { tools: plain(tools), prompts: plain(prompts), resources: plain(resources) };
}

/** The defaults of `instances.max`: a process takes much memory, a connection hardly any. */
const DEFAULT_PROCESSES = 32;
const DEFAULT_CONNECTIONS = 1_000;

function sharingOf(
  { isolation, instances }: ServerEntry,
  transport: ServerConfig['transport'],
): Pick<ServerConfig, 'isolation' | 'instances'> {
  const { max = transport === 'stdio' ? DEFAULT_PROCESSES : DEFAULT_CONNECTIONS, idle, lazy } = instances;
  return { isolation, instances: { max, idle, lazy } };
}

function tlsOf(tls: NonNullable<ServerEntry['tls']>, absolute: (path: string) => string): TlsConfig {
  const { ca, cert, key, rejectUnauthorized, servername } = tls;
  const paths = Object.entries({ ca, cert, key }).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return {
    ...Object.fromEntries(paths.map(([name, path]) => [name, absolute(path)])),
    rejectUnauthorized,
    ...(servername === undefined ? {} : { servername }),
  };
}

function wrap(values: Record<string, string>): Record<string, Secret> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Secret(value)]));
}

interface SecretTexts {
  readonly env: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly url: string | undefined;
  readonly resolved: readonly string[];
}

/** All values to redact, also as JSON and URLs write them, longest first. */
function secretsOf({ env, headers, url, resolved }: SecretTexts): string[] {
  const credentials = Object.values(headers).flatMap((value) => [value, value.replace(/^[A-Za-z]+\s+/, '')]);
  const plain = [...resolved, ...Object.values(env), ...credentials, ...urlSecrets(url)];
  const forms = plain.flatMap((value) => [value, value.trim(), JSON.stringify(value).slice(1, -1), encoded(value)]);
  const long = forms.filter((value) => value.length >= SHORTEST_SECRET);
  return [...new Set(long)].sort((a, b) => b.length - a.length);
}

function urlSecrets(url: string | undefined): string[] {
  const parsed = url === undefined ? null : URL.parse(url);
  if (parsed === null) return [];
  return [parsed.password, decoded(parsed.password), parsed.username, ...parsed.searchParams.values()];
}

function decoded(text: string): string {
  return /%(?![0-9A-Fa-f]{2})/.test(text)
    ? text
    : (new URLSearchParams(`v=${text.replaceAll('+', '%2B')}`).get('v') ?? text);
}

/** The text as a URL writes it; a lone surrogate cannot be encoded, and no URL can carry it. */
function encoded(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : text;
}

function digestOf(parts: object): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
