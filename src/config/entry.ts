// Reads one server's entry: resolves its references, checks it, and makes a ServerConfig of it, usable or not.
import { resolve } from 'node:path';
import { isObject, type JsonObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import { REACH, valueFaults, webSocketKey, writtenFaults, writtenWarnings } from './entry-checks.ts';
import { loaderWarnings } from './loader-warnings.ts';
import type { Translated } from './formats.ts';
import { gatewayFileFindings, type GatewayPlaces } from './gateway-files.ts';
import { fromHome, homeOf } from './home.ts';
import { check } from './issues.ts';
import { type Document, type Finding, positionAt, problemAt } from './positions.ts';
import { isWithin, type Path, type Problem } from './problems.ts';
import { type Expansion, expand, pathKey } from './references.ts';
import { serverEntry, type ServerEntry, URL_KEYS } from './schema.ts';
import { type EntryPlace, isDisabled, serverOf, workingDirectory } from './server.ts';

/** An entry to read: its place in a file, and what its references and paths are resolved against. */
export interface EntryRequest {
  readonly document: Document;
  readonly path: Path;
  readonly name: string;
  /** The entry with the keys of the schema; undefined where it is no object. */
  readonly written: Translated | undefined;
  /** The directory of the file that holds the entry. */
  readonly directory: string;
  readonly mainDirectory: string;
  readonly env: NodeJS.ProcessEnv;
  /** The gateway's own files, which its arguments must not name. */
  readonly places: GatewayPlaces;
}

/** A server, usable or not, and the problems of its entry. */
export interface EntryOutcome {
  readonly server: ServerConfig;
  readonly problems: readonly Problem[];
  /** The files with its secrets: those that references name, and the TLS key. */
  readonly files: readonly string[];
}

/** What was found in an entry; the paths of the findings are those in the entry. With faults, the server cannot be used. */
interface Reading {
  readonly faults: Finding[];
  readonly warnings: Finding[];
  readonly entry?: ServerEntry | undefined;
  readonly expansion?: Expansion;
}

/** Reads an entry. Never throws: the outcome has its problems. */
export function readEntry(request: EntryRequest): EntryOutcome {
  const { document, name, path, written, directory, mainDirectory, env } = request;
  const placeOf = (within: Path): Path => [...path, ...(written?.placeOf(within) ?? within)];
  const { raw, spaced } = tidied(written?.entry ?? {});
  const place: EntryPlace = {
    name,
    mainDirectory,
    home: homeOf(env),
    raw,
    source: { file: document.file, ...positionAt(document, { path, atKey: true }) },
    places: patternPlaces(raw, (within) => {
      const { line, column } = positionAt(document, { path: placeOf(within) });
      return `${document.file}:${line}:${column}`;
    }),
  };
  const reading = read(raw, request);
  const located = (findings: readonly Finding[]) =>
    findings.map((finding) => problemAt(document, { ...finding, path: placeOf(finding.path) }, name));
  const faults = located(reading.faults);
  const { entry, expansion } = reading;
  const key = entry?.tls?.key;
  return {
    server: serverOf(place, { entry, resolved: expansion?.resolved ?? [], faults }),
    problems: [...faults, ...located([...spaced, ...reading.warnings])],
    files: [...(expansion?.files ?? []), ...(key === undefined ? [] : [resolve(directory, fromHome(key, place.home))])],
  };
}

/**
 * Removes what clients write for keys that an entry does not have, which is null and, for a command or URL, an empty text. Removes the white
 * space around a command or URL too, with a warning: it comes from copying.
 */
function tidied(entry: JsonObject): { raw: JsonObject; spaced: Finding[] } {
  const raw: JsonObject = {};
  const spaced: Finding[] = [];
  for (const [key, value] of Object.entries(entry)) {
    const reach = typeof value === 'string' && REACH.includes(key);
    if (value === null || (reach && value === '')) continue;
    raw[key] = reach ? value.trim() : value;
    if (raw[key] !== value)
      spaced.push({ path: [key], severity: 'warning', message: 'the white space around it is left out' });
  }
  return { raw, spaced };
}

/** `file:line:column` of each list of patterns (`tools.deny`) and of each pattern (`tools.deny.0`), so that a decision can cite its pattern. */
function patternPlaces(raw: JsonObject, place: (within: Path) => string): Readonly<Record<string, string>> {
  const places: Record<string, string> = {};
  for (const setting of ['tools', 'prompts', 'resources']) {
    const written = raw[setting];
    for (const list of ['allow', 'deny']) {
      // a plain list is the `allow` list
      const plain = Array.isArray(written) && list === 'allow';
      const at = plain ? [setting] : [setting, list];
      const patterns = plain ? written : isObject(written) ? written[list] : undefined;
      if (!Array.isArray(patterns)) continue;
      places[`${setting}.${list}`] = place(at);
      patterns.forEach((_, index) => (places[`${setting}.${list}.${index}`] = place([...at, index])));
    }
  }
  return places;
}

/** Resolves the references of an entry, and checks it. */
function read(raw: JsonObject, request: EntryRequest): Reading {
  const { written, document, path } = request;
  const fault =
    written === undefined ? 'a server must be an object such as { "command": "npx", "args": [...] }' : written.fault;
  if (fault !== undefined) return { faults: [{ path: [], message: fault }], warnings: [] };
  const known = Object.fromEntries(Object.entries(raw).filter(([key]) => Object.hasOwn(serverEntry.shape, key)));
  const expansion = expand(known, isDisabled(raw) ? undefined : request);
  const { data, findings } = check(serverEntry, expansion.value);
  const refused = document.refused
    .filter((finding) => finding.path.length > path.length && isWithin(finding.path, path))
    .map((finding) => ({ ...finding, path: finding.path.slice(path.length) }));
  const faults = [...refused, ...writtenFaults(raw), ...expansion.faults];
  const shape = data === undefined ? findings : valueFaults(data);
  faults.push(...unreported(shape, { raw, expansion, reported: keysOf(faults) }));
  const reported = keysOf(faults);
  const warnings = writtenWarnings(raw).filter((finding) => !reported.has(pathKey(finding.path)));
  // a disabled entry keeps its references, which may not have the shape of their values
  const entry = data ?? (isDisabled(raw) ? serverEntry.parse({}) : undefined);
  if (entry !== undefined) warnings.push(...loaderWarnings(entry.env));
  if (entry !== undefined && !isDisabled(raw)) faults.push(...argumentFaults(entry, request));
  return { faults, warnings, expansion, entry };
}

function keysOf(findings: readonly Finding[]): Set<string> {
  return new Set(findings.map(({ path }) => pathKey(path)));
}

/** The faults without those at a path that is reported already, and without those of unresolved values. */
function unreported(
  faults: readonly Finding[],
  { raw, expansion, reported }: { raw: JsonObject; expansion: Expansion; reported: Set<string> },
): Finding[] {
  const resolved = !isDisabled(raw) && expansion.faults.length === 0;
  if (webSocketKey(raw) !== undefined) URL_KEYS.forEach((key) => reported.add(pathKey([key])));
  return faults.flatMap((finding) => {
    const key = pathKey(finding.path);
    if (reported.has(key)) return [];
    if (!expansion.referring.has(key)) return [finding];
    return resolved ? [{ ...finding, message: `${finding.message} (the value comes from a reference)` }] : [];
  });
}

/** Finds arguments that would give the server the gateway's own files. */
function argumentFaults(entry: ServerEntry, { env, places, ...directories }: EntryRequest): Finding[] {
  if (entry.command === undefined || entry.allowGatewayFiles) return [];
  const cwd = workingDirectory(entry, { ...directories, home: homeOf(env) });
  return gatewayFileFindings({ args: entry.args, cwd, home: entry.env.HOME ?? env.HOME }, places);
}
