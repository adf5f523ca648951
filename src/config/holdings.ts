// What a file holds: the entries of its servers, in the format of any client, and the keys of that client.
import { basename } from 'node:path';
import { isObject, type JsonObject, type JsonValue } from '../core/json.ts';
import {
  asWritten,
  CLIENT_FILE_KEYS,
  fits,
  type Format,
  FORMATS,
  isMapOfServers,
  isServer,
  OWN_KEY,
} from './formats.ts';
import { ignoredKeys, namedKeys } from './issues.ts';
import type { Finding } from './positions.ts';
import { didYouMean, nearest, type Path } from './problems.ts';
import { serverEntry, settingsSchema } from './schema.ts';

/** One entry, not yet checked. */
export interface WrittenEntry {
  /** Undefined for an entry of a list without a name. */
  readonly name: string | undefined;
  readonly path: Path;
  readonly value: JsonValue | undefined;
  readonly translate: NonNullable<Format['translate']>;
}

/** The servers of a file; `entries` is undefined where the file cannot be understood. */
export interface Holding {
  readonly entries: readonly WrittenEntry[] | undefined;
  readonly findings: readonly Finding[];
  /** The top-level keys that are not settings of the gateway. */
  readonly foreign: ReadonlySet<string>;
}

const SETTINGS = Object.keys(settingsSchema.shape);
const ENTRY_KEYS = Object.keys(serverEntry.shape);

/** Reads the main file. It has settings beside servers; a key that is neither ours nor a client's stays with the settings, whose check refuses it. */
export function readMain(value: JsonValue | undefined): Holding {
  if (!isObject(value)) return { entries: [], findings: [], foreign: new Set() };
  const held = heldBy(value);
  const others = Object.keys(value).filter((key) => !held.foreign.has(key) && !SETTINGS.includes(key));
  const foreign = others.filter(clientKeysOf(value, held));
  return {
    entries: held.entries,
    findings: [...held.findings, ...ignored(foreign, 'no settings of the gateway, but of a client', value)],
    foreign: new Set([...held.foreign, ...foreign]),
  };
}

/** Reads a file of servers.d: servers in the format of any client, servers by name, or one server with the name of the file. */
export function readServerEntries(value: JsonValue | undefined, file: string): Holding {
  if (!isObject(value)) return refused([], 'must be an object: one server, or servers by name');
  const held = heldBy(value);
  if (held.foreign.size > 0) {
    const others = Object.keys(value).filter((key) => key !== '$schema' && !held.foreign.has(key));
    const findings = ignored(
      others,
      'only servers are read here; settings of the gateway belong into the main file',
      value,
    );
    return { entries: held.entries, findings: [...held.findings, ...findings], foreign: new Set(Object.keys(value)) };
  }
  const { $schema: _schema, ...rest } = value;
  const foreign = new Set(Object.keys(value));
  if (!isBareMap(rest)) {
    const entry = { name: basename(file, '.json'), path: [], value: rest, translate: asWritten };
    return { entries: [entry], findings: [], foreign };
  }
  const [only = ''] = Object.keys(rest);
  const hint = Object.keys(rest).length === 1 && isBareMap(rest[only]) ? didYouMean(only, [OWN_KEY, 'servers']) : '';
  if (hint !== '') return refused([only], `holds servers under an unknown key${hint}`);
  return { entries: mapEntries(rest, { path: [], translate: asWritten }), findings: [], foreign };
}

/** The servers at every place where a client keeps them; `foreign` has the top-level keys of these places. */
function heldBy(value: JsonObject): Holding {
  const foreign = new Set<string>();
  const entries: WrittenEntry[] = [];
  const findings: Finding[] = [];
  for (const format of FORMATS) {
    const [top] = format.at;
    const there = format.at.reduce<JsonValue | undefined>(below, value);
    if (foreign.has(top) || !fits(format, there)) continue;
    foreign.add(top);
    const translate = format.translate ?? asWritten;
    if (Array.isArray(there)) entries.push(...listEntries(there, { path: format.at, translate }));
    else if (isObject(there)) entries.push(...mapEntries(there, { path: format.at, translate }));
    else return { entries: undefined, findings: [notServers(format.at)], foreign };
    if (format.at.length > 1) findings.push(...besides(value[top], format.at));
  }
  return { entries, findings, foreign };
}

function below(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function notServers(path: Path): Finding {
  return { path, message: 'must be an object of servers by name, such as { "files": { "command": "npx" } }' };
}

/** The warning about other keys of a client beside its servers, one level down. */
function besides(value: JsonValue | undefined, [top, inner]: readonly string[]): Finding[] {
  const others = Object.keys(isObject(value) ? value : {}).filter((key) => key !== inner);
  return ignoredKeys([top ?? ''], { keys: others, reason: 'settings of a client' });
}

type Way = Pick<WrittenEntry, 'path' | 'translate'>;

function mapEntries(map: JsonObject, { path, translate }: Way): WrittenEntry[] {
  return Object.entries(map).map(([name, value]) => ({ name, path: [...path, name], value, translate }));
}

function listEntries(list: readonly JsonValue[], { path, translate }: Way): WrittenEntry[] {
  return list.map((value, index) => {
    const name = isObject(value) && typeof value.name === 'string' ? value.name : undefined;
    return { name, path: [...path, index], value, translate };
  });
}

function isBareMap(value: JsonValue | undefined): value is JsonObject {
  if (!isMapOfServers(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && !keys.some((key) => ENTRY_KEYS.includes(key));
}

/**
 * Makes a test that tells the keys of a client from misspelt keys of ours. In a client's file without settings of ours, all keys are the
 * client's, except one that is nearly one of ours and one that holds a server outside of the servers.
 */
function clientKeysOf(value: JsonObject, held: Holding): (key: string) => boolean {
  const keys = Object.keys(value);
  const ours = keys.some((key) => SETTINGS.includes(key) && key !== OWN_KEY && key !== '$schema');
  const clients = [...held.foreign].some((key) => key !== OWN_KEY) || keys.some((key) => CLIENT_FILE_KEYS.has(key));
  return (key) => {
    if (CLIENT_FILE_KEYS.has(key)) return true;
    return clients && !ours && nearest(key, SETTINGS) === undefined && !isServer(value[key]);
  };
}

/** One warning for all of the keys, and one for each list of servers that is ignored with them. */
function ignored(keys: readonly string[], reason: string, value: JsonObject): Finding[] {
  const lost = keys.includes('projects') ? projectServers(value.projects) : [];
  return [...ignoredKeys([], { keys, reason }), ...lost];
}

/** Warns of servers of single projects in a file of Claude Code: the gateway does not read them, since every client would get them. */
function projectServers(projects: JsonValue | undefined): Finding[] {
  if (!isObject(projects)) return [];
  return Object.entries(projects).flatMap(([project, settings]) => {
    const map = below(settings, OWN_KEY);
    const servers = isObject(map) ? Object.keys(map) : [];
    if (servers.length === 0) return [];
    const message = `not read: ${namedKeys(servers)}, as servers of one project; move those that every client should have to "${OWN_KEY}"`;
    return [{ path: ['projects', project, OWN_KEY], atKey: true, severity: 'warning' as const, message }];
  });
}

function refused(path: Path, message: string): Holding {
  return { entries: undefined, findings: [{ path, atKey: true, message }], foreign: new Set() };
}
