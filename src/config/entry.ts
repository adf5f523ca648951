// Reads one server's entry: resolves its references, checks it, and makes a server of it, usable or not.
import { isObject, type JsonObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import {
  idleKeyWarnings,
  ownHeaderWarnings,
  reachFindings,
  unknownKeyWarnings,
  valueFindings,
} from './entry-checks.ts';
import { findingsOf } from './issues.ts';
import { patternPlaces } from './pattern-places.ts';
import { type Document, type Finding, positionAt, problemAt } from './positions.ts';
import type { Path, Problem } from './problems.ts';
import { type Expansion, expand, findReferences, pathKey } from './references.ts';
import { serverEntry, type ServerEntry, URL_KEYS } from './schema.ts';
import { brokenServer, disabledServer, isDisabled, type EntryPlace, usableServer } from './server.ts';

/** An entry to read: its place in a file, and what it is resolved against. */
export interface EntryRequest {
  readonly document: Document;
  readonly path: Path;
  readonly name: string;
  /** The directory of the file that holds the entry. */
  readonly directory: string;
  readonly mainDirectory: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A server and what was found: `faults` lie in what is written, `absences` in what it refers to or asks for. */
export interface EntryOutcome {
  readonly server: ServerConfig;
  readonly faults: readonly Problem[];
  readonly absences: readonly Problem[];
  readonly warnings: readonly Problem[];
}

interface Findings {
  faults: Finding[];
  absences: Finding[];
  warnings: Finding[];
}

const EMPTY_MEANS_NONE = new Set(['command', ...URL_KEYS]);

/** Reads an entry. Never throws: what is wrong with it is in the outcome. */
export function readEntry(request: EntryRequest, value: unknown): EntryOutcome {
  const findings: Findings = { faults: [], absences: [], warnings: [] };
  const raw: JsonObject = isObject(value) ? withoutEmpty(value) : {};
  const place: EntryPlace = {
    name: request.name,
    mainDirectory: request.mainDirectory,
    raw,
    source: { file: request.document.file, ...positionAt(request.document, { path: request.path, atKey: true }) },
    places: patternPlaces({ ...request, raw }),
  };
  if (!isObject(value))
    findings.faults.push({
      path: request.path,
      message: 'a server must be an object such as { "command": "npx", "args": [...] }',
    });
  const expansion = isObject(value) ? resolveReferences(request, raw) : undefined;
  const entry = expansion === undefined ? undefined : check(expansion, { request, raw, findings });
  return outcome({ request, place, findings, entry, resolved: expansion?.resolved ?? [] });
}

/** Clients write null, and an empty address, for what an entry does not have. */
function withoutEmpty(entry: JsonObject): JsonObject {
  const empty = (key: string) => entry[key] === null || (entry[key] === '' && EMPTY_MEANS_NONE.has(key));
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !empty(key)));
}

function resolveReferences({ path, directory, env }: EntryRequest, raw: JsonObject): Expansion {
  return isDisabled(raw) ? findReferences(raw, path) : expand(raw, path, { directory, env });
}

/** Checks the entry with its references resolved; what is wrong only because of a reference is no fault of the file. */
function check(
  expansion: Expansion,
  context: { request: EntryRequest; raw: JsonObject; findings: Findings },
): ServerEntry | undefined {
  const { request, raw, findings } = context;
  const { path } = request;
  const parsed = serverEntry.safeParse(expansion.value);
  sortByOrigin(parsed, expansion, context);
  findings.faults.push(...refusedKeys(request), ...reachFindings(raw, path));
  findings.faults.push(...tlsFindings(raw, path));
  // another client's kinds of references are no mistake of the file: they take out this server alone, like an unset one
  findings.absences.push(...expansion.unset, ...expansion.malformed);
  findings.warnings.push(...unknownKeyWarnings(raw, path), ...idleKeyWarnings(raw, path));
  if (isObject(raw.headers)) findings.warnings.push(...ownHeaderWarnings(Object.keys(raw.headers), path));
  if (!parsed.success) return isDisabled(raw) ? serverEntry.parse({}) : undefined;
  return parsed.data;
}

/** Values that could not be resolved are not judged; values that were are, but they do not make the file wrong. */
function sortByOrigin(
  parsed: ReturnType<typeof serverEntry.safeParse>,
  expansion: Expansion,
  context: { request: EntryRequest; raw: JsonObject; findings: Findings },
): void {
  const { raw, findings } = context;
  const { path } = context.request;
  const resolved = !isDisabled(raw) && expansion.unset.length + expansion.malformed.length === 0;
  const found = parsed.success
    ? [...valueFindings(parsed.data, path), ...homeFindings(parsed.data, path)]
    : findingsOf(parsed.error.issues, { schema: serverEntry, value: raw, path });
  for (const finding of found) {
    if (!expansion.referring.has(pathKey(finding.path))) findings.faults.push(finding);
    else if (resolved) {
      findings.absences.push({ ...finding, message: `${finding.message} (the value comes from a reference)` });
    }
  }
}

function outcome(parts: {
  request: EntryRequest;
  place: EntryPlace;
  findings: Findings;
  entry: ServerEntry | undefined;
  resolved: readonly string[];
}): EntryOutcome {
  const { request, place, findings, entry, resolved } = parts;
  const located = (list: readonly Finding[]) =>
    list.map((finding) => problemAt(request.document, finding, request.name));
  const problems = {
    faults: located(findings.faults),
    absences: located(findings.absences),
    warnings: located(findings.warnings),
  };
  return {
    server: serverOf({ place, entry, resolved, wrong: [...problems.faults, ...problems.absences] }),
    ...problems,
  };
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
  return document.refused.filter(
    (finding) => finding.path.length > path.length && path.every((part, index) => part === finding.path[index]),
  );
}

function tlsFindings(raw: JsonObject, path: Path): Finding[] {
  const tls = isObject(raw.tls) ? raw.tls : {};
  if ((tls.cert === undefined) === (tls.key === undefined)) return [];
  return [{ path: [...path, 'tls'], message: '"cert" and "key" go together; one of them is missing' }];
}

/** A shell expands `~`; nothing here does. */
function homeFindings({ command, cwd, tls }: ServerEntry, path: Path): Finding[] {
  const paths: [Path, string | undefined][] = [
    [['command'], command],
    [['cwd'], cwd],
    [['tls', 'ca'], tls?.ca],
    [['tls', 'cert'], tls?.cert],
    [['tls', 'key'], tls?.key],
  ];
  return paths
    .filter(([, text]) => text !== undefined && /^~(?:[/\\]|$)/.test(text))
    .map(([key]) => ({ path: [...path, ...key], message: '~ is not expanded in paths; write ${HOME}' }));
}
