// Reads one server's entry: resolves its references, checks it, and makes a ServerConfig of it, usable or not.
import { resolve } from 'node:path';
import { isObject, type JsonObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import {
  idleKeyWarnings,
  literalWarnings,
  loaderWarnings,
  ownHeaderWarnings,
  reachFindings,
  unknownKeyWarnings,
  valueFindings,
  webSocketKey,
} from './entry-checks.ts';
import type { Translated } from './formats.ts';
import { fromHome, homeOf } from './home.ts';
import { findingsOf } from './issues.ts';
import { gatewayFileFindings, type GatewayPlaces } from './gateway-files.ts';
import { patternPlaces } from './pattern-places.ts';
import { type Document, type Finding, positionAt, problemAt } from './positions.ts';
import { isWithin, type Path, type Problem } from './problems.ts';
import { type Expansion, expand, findReferences, pathKey } from './references.ts';
import { serverEntry, type ServerEntry, URL_KEYS } from './schema.ts';
import { brokenServer, disabledServer, isDisabled, type EntryPlace, usableServer, workingDirectory } from './server.ts';

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

/** A server with `faults` cannot be used. */
interface Findings {
  faults: Finding[];
  warnings: Finding[];
}

const EMPTY_MEANS_NONE = new Set(['command', ...URL_KEYS]);

/** Reads an entry. Never throws: the outcome has its problems. */
export function readEntry(request: EntryRequest): EntryOutcome {
  const { written, path } = request;
  const findings: Findings = { faults: [], warnings: [] };
  const raw = written === undefined ? {} : withoutSpace(withoutEmpty(written.entry), { path, findings });
  const place: EntryPlace = {
    name: request.name,
    mainDirectory: request.mainDirectory,
    home: homeOf(request.env),
    raw,
    source: { file: request.document.file, ...positionAt(request.document, { path, atKey: true }) },
    places: patternPlaces(raw, (within) => positionOf([...path, ...within], request)),
  };
  const fault =
    written === undefined ? 'a server must be an object such as { "command": "npx", "args": [...] }' : written.fault;
  if (fault !== undefined) {
    findings.faults.push({ path, message: fault });
    return { ...outcome({ request, place, findings, entry: undefined, resolved: [] }), files: [] };
  }
  const known = Object.fromEntries(Object.entries(raw).filter(([key]) => Object.hasOwn(serverEntry.shape, key)));
  const expansion = resolveReferences(request, known);
  const entry = check(expansion, { request, raw, findings });
  return {
    ...outcome({ request, place, findings, entry, resolved: expansion.resolved }),
    files: [...expansion.files, ...keyFiles(entry, request)],
  };
}

function keyFiles(entry: ServerEntry | undefined, { directory, env }: EntryRequest): string[] {
  const key = entry?.tls?.key;
  return key === undefined ? [] : [resolve(directory, fromHome(key, homeOf(env)))];
}

/** Removes keys that are null, and empty commands and URLs: clients write these for what an entry does not have. */
function withoutEmpty(entry: JsonObject): JsonObject {
  const empty = (key: string) => entry[key] === null || (entry[key] === '' && EMPTY_MEANS_NONE.has(key));
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !empty(key)));
}

/** Removes the white space around a program or a URL, with a warning: it comes from copying. */
function withoutSpace(entry: JsonObject, { path, findings }: { path: Path; findings: Findings }): JsonObject {
  const mended = Object.entries(entry).map(([key, value]): [string, typeof value] => {
    if (typeof value !== 'string' || !EMPTY_MEANS_NONE.has(key) || value.trim() === value) return [key, value];
    findings.warnings.push({
      path: [...path, key],
      severity: 'warning',
      message: 'the white space around it is left out',
    });
    return [key, value.trim()];
  });
  return Object.fromEntries(mended);
}

function resolveReferences({ path, directory, env }: EntryRequest, raw: JsonObject): Expansion {
  return isDisabled(raw) ? findReferences(raw, path) : expand(raw, path, { directory, env });
}

/** Checks the entry with its references resolved. */
function check(
  expansion: Expansion,
  context: { request: EntryRequest; raw: JsonObject; findings: Findings },
): ServerEntry | undefined {
  const { request, raw, findings } = context;
  const { path } = request;
  const parsed = serverEntry.safeParse(expansion.value);
  findings.faults.push(...refusedKeys(request), ...reachFindings(raw, path), ...tlsFindings(raw, path));
  findings.faults.push(...expansion.unset, ...expansion.malformed, ...shapeFindings(parsed, expansion, context));
  const reported = new Set(findings.faults.map((finding) => pathKey(finding.path)));
  const unknown = unknownKeyWarnings(raw, path).filter((finding) => !reported.has(pathKey(finding.path)));
  findings.warnings.push(...unknown, ...idleKeyWarnings(raw, path), ...literalWarnings(raw, path));
  if (isObject(raw.headers)) findings.warnings.push(...ownHeaderWarnings(Object.keys(raw.headers), path));
  if (!parsed.success) return isDisabled(raw) ? serverEntry.parse({}) : undefined;
  findings.warnings.push(...loaderWarnings(Object.keys(parsed.data.env), path));
  if (!isDisabled(raw)) findings.faults.push(...argumentFindings(parsed.data, request));
  return parsed.data;
}

/** Finds arguments that would give the server the gateway's own files. */
function argumentFindings(entry: ServerEntry, { path, env, places, ...directories }: EntryRequest): Finding[] {
  if (entry.command === undefined || entry.allowGatewayFiles) return [];
  const cwd = workingDirectory(entry, { ...directories, home: homeOf(env) });
  return gatewayFileFindings({ args: entry.args, cwd, home: entry.env.HOME ?? env.HOME, path }, places);
}

/** The faults of shape and values, without those at a path that has a finding already, and without those of unresolved values. */
function shapeFindings(
  parsed: ReturnType<typeof serverEntry.safeParse>,
  expansion: Expansion,
  { request, raw, findings }: { request: EntryRequest; raw: JsonObject; findings: Findings },
): Finding[] {
  const { path } = request;
  const resolved = !isDisabled(raw) && expansion.unset.length + expansion.malformed.length === 0;
  const reported = new Set(findings.faults.map((finding) => pathKey(finding.path)));
  if (webSocketKey(raw) !== undefined) URL_KEYS.forEach((key) => reported.add(pathKey([...path, key])));
  const found = parsed.success
    ? [...valueFindings(parsed.data, path), ...homeFindings(parsed.data, path)]
    : findingsOf(parsed.error.issues, { schema: serverEntry, value: raw, path });
  return found.flatMap((finding) => {
    if (reported.has(pathKey(finding.path))) return [];
    if (!expansion.referring.has(pathKey(finding.path))) return [finding];
    return resolved ? [{ ...finding, message: `${finding.message} (the value comes from a reference)` }] : [];
  });
}

function outcome(parts: {
  request: EntryRequest;
  place: EntryPlace;
  findings: Findings;
  entry: ServerEntry | undefined;
  resolved: readonly string[];
}): Omit<EntryOutcome, 'files'> {
  const { request, place, findings, entry, resolved } = parts;
  const located = (list: readonly Finding[]) =>
    list.map((finding) =>
      problemAt(request.document, { ...finding, path: placeInFile(finding.path, request) }, request.name),
    );
  const faults = located(findings.faults);
  return {
    server: serverOf({ place, entry, resolved, wrong: faults }),
    problems: [...faults, ...located(findings.warnings)],
  };
}

function positionOf(path: Path, request: EntryRequest): string {
  const { line, column } = positionAt(request.document, { path: placeInFile(path, request) });
  return `${request.document.file}:${line}:${column}`;
}

/** The place in the file of a part of the entry, under the key of the file's format. */
function placeInFile(path: Path, { path: base, written }: EntryRequest): Path {
  if (written === undefined || !isWithin(path, base)) return path;
  return [...base, ...written.placeOf(path.slice(base.length))];
}

function serverOf(parts: {
  place: EntryPlace;
  entry: ServerEntry | undefined;
  resolved: readonly string[];
  wrong: readonly Problem[];
}): ServerConfig {
  const { place, entry, resolved, wrong } = parts;
  const first = wrong[0];
  if (first === undefined && entry !== undefined)
    return isDisabled(place.raw) ? disabledServer(entry, place) : usableServer(entry, place, resolved);
  const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
  const problem =
    first === undefined
      ? 'the entry cannot be used'
      : `${first.file}:${first.line}:${first.column} ${first.message}${more}`;
  return brokenServer(place, problem, { entry, resolved });
}

function refusedKeys({ document, path }: EntryRequest): readonly Finding[] {
  return document.refused.filter((finding) => finding.path.length > path.length && isWithin(finding.path, path));
}

function tlsFindings(raw: JsonObject, path: Path): Finding[] {
  const tls = isObject(raw.tls) ? raw.tls : {};
  if ((tls.cert === undefined) === (tls.key === undefined)) return [];
  return [{ path: [...path, 'tls'], message: '"cert" and "key" go together; one of them is missing' }];
}

/** Finds paths such as `~other/x`: `~` alone is supported, as the home of the user who runs the gateway. */
function homeFindings({ command, cwd, tls }: ServerEntry, path: Path): Finding[] {
  const paths: [Path, string | undefined][] = [
    [['command'], command],
    [['cwd'], cwd],
    [['tls', 'ca'], tls?.ca],
    [['tls', 'cert'], tls?.cert],
    [['tls', 'key'], tls?.key],
  ];
  return paths
    .filter(([, text]) => text !== undefined && /^~[\w.-]+[/\\]/.test(text))
    .map(([key]) => ({ path: [...path, ...key], message: '~ stands for your own home alone; write the whole path' }));
}
