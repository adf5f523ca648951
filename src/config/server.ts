// Makes a ServerConfig of an entry: makes paths absolute, unifies spellings, wraps and lists secrets.
import { createHash } from 'node:crypto';
import { dirname, isAbsolute, resolve } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { ServerConfig, TlsConfig } from './config.ts';
import { OWN_HEADERS, transportOf as transportOfType } from './entry-checks.ts';
import { safeArgs, safeUrl } from './excerpts.ts';
import { fromHome } from './home.ts';
import type { Problem } from './problems.ts';
import { ALIAS, serverEntry, type ServerEntry, URL_KEYS } from './schema.ts';

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

/** What the loader could read of an entry, the values of its references, and why the server cannot be used. */
export interface EntryParts {
  readonly entry?: ServerEntry | undefined;
  readonly resolved?: readonly string[];
  readonly faults: readonly Problem[];
}

type Transport = ServerConfig['transport'];

/** Shorter values are not redacted: they occur too often in ordinary text. */
const SHORTEST_SECRET = 6;
const DEFAULTS = serverEntry.parse({});

/** The server of an entry: usable where it has no faults. A disabled one is shown, but not started. */
export function serverOf(place: EntryPlace, parts: EntryParts): ServerConfig {
  const { entry, resolved = [], faults } = parts;
  if (faults.length > 0 || entry === undefined) return brokenServer(place, parts);
  if (!isDisabled(place.raw)) return usableServer(entry, place, resolved);
  return { ...skeleton(place), ...offerOf(entry), digest: digestOf({ disabled: true }) };
}

function usableServer(entry: ServerEntry, place: EntryPlace, resolved: readonly string[]): ServerConfig {
  const { raw, home } = place;
  const { command, args, tls } = entry;
  const directory = dirname(place.source.file);
  const cwd = workingDirectory(entry, { directory, mainDirectory: place.mainDirectory, home });
  const url = URL_KEYS.map((key) => entry[key]).find((value) => value !== undefined);
  const headers = Object.entries(entry.headers).filter(([name]) => !OWN_HEADERS.has(name.toLowerCase()));
  const transport = transportOf(entry);
  const reach = {
    transport,
    ...(command === undefined
      ? {}
      : { command: programPath(fromHome(command, home), entry.cwd === undefined ? directory : cwd) }),
    args,
    cwd,
    ...(url === undefined ? {} : { url }),
    timeouts: timeoutsOf(entry, { raw, transport }),
    ...(entry.era === 'auto' ? {} : { era: entry.era }),
    ...(tls === undefined ? {} : { tls: tlsOf(tls, (path) => resolve(directory, fromHome(path, home))) }),
  };
  const texts = { env: entry.env, headers: Object.fromEntries(headers) };
  return {
    ...skeleton(place),
    ...reach,
    alias: entry.alias ?? place.name,
    env: wrap(texts.env),
    headers: wrap(texts.headers),
    ...sharingOf(entry, transport),
    ...offerOf(entry),
    secrets: secretsOf({ ...texts, url, resolved }),
    digest: digestOf({ ...reach, ...texts }),
  };
}

/** A server that cannot be used, and why. It keeps the patterns of its entry, since its last known offer may be shown. */
export function brokenServer(
  place: EntryPlace,
  { entry, resolved = [], faults: [first, ...more] }: EntryParts,
): ServerConfig {
  const others = more.length > 0 ? ` (and ${more.length} more)` : '';
  const problem =
    first === undefined
      ? 'the entry cannot be used'
      : `${first.file}:${first.line}:${first.column} ${first.message}${others}`;
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
    transport: transportOf(raw),
    args: [],
    env: {},
    cwd: mainDirectory,
    headers: {},
    timeouts: DEFAULTS.timeouts,
    ...sharingOf(DEFAULTS, 'stdio'),
    ...offerOf(DEFAULTS),
    source,
    places,
    display: displayOf(raw),
    secrets: [],
    digest: '',
  };
}

/** The transport of an entry, checked or not: that of its type, else the one that its keys imply. */
function transportOf(entry: Readonly<Record<string, unknown>>): Transport {
  const type = transportOfType(entry.type ?? entry.transport);
  return type ?? (URL_KEYS.some((key) => entry[key] !== undefined) ? 'streamable-http' : 'stdio');
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

/** The program to start: a name without a slash stays, for the search in PATH; a path becomes absolute. */
function programPath(command: string, directory: string): string {
  const isPath = command.includes('/') || (process.platform === 'win32' && command.includes('\\'));
  return isPath && !isAbsolute(command) ? resolve(directory, command) : command;
}

/** `timeout` sets the phases that `timeouts` does not name. By default `firstByte` and `idle` do not bound a process, which may be silent while it works. */
function timeoutsOf(
  { timeout, timeouts }: ServerEntry,
  { raw, transport }: { raw: JsonObject; transport: Transport },
): ServerConfig['timeouts'] {
  const named = isObject(raw.timeouts) ? raw.timeouts : {};
  const silence = transport === 'stdio' ? Infinity : undefined;
  const unnamed = { firstByte: timeout ?? silence, idle: timeout ?? silence, total: timeout };
  const set = Object.entries(unnamed).filter(([phase, ms]) => ms !== undefined && named[phase] === undefined);
  return { ...timeouts, ...Object.fromEntries(set) };
}

function offerOf({ tools, prompts, resources }: ServerEntry): Pick<ServerConfig, 'tools' | 'prompts' | 'resources'> {
  return { tools, prompts, resources };
}

/** The defaults of `instances.max`: a process takes much memory, a connection hardly any. */
const DEFAULT_PROCESSES = 32;
const DEFAULT_CONNECTIONS = 1_000;

function sharingOf(
  { era, isolation, instances }: ServerEntry,
  transport: Transport,
): Pick<ServerConfig, 'era' | 'isolation' | 'instances'> {
  const max = instances.max ?? (transport === 'stdio' ? DEFAULT_PROCESSES : DEFAULT_CONNECTIONS);
  return { era, isolation, instances: { ...instances, max } };
}

function tlsOf(tls: TlsConfig, absolute: (path: string) => string): TlsConfig {
  const paths = (['ca', 'cert', 'key'] as const).flatMap((name): [string, string][] => {
    const path = tls[name];
    return path === undefined ? [] : [[name, absolute(path)]];
  });
  return { ...tls, ...Object.fromEntries(paths) };
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
