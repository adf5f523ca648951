// Reads servers.d: one server or one map of servers a file; a bad file or entry takes out that server alone.
import { basename, dirname, join } from 'node:path';
import { isObject, type JsonObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import { readEntry } from './entry.ts';
import { listDirectory, MAX_DROPPED_FILES, readRegularFile, WRITABLE } from './files.ts';
import { type Document, fileProblem, type Finding, parseDocument, problemAt } from './positions.ts';
import { didYouMean, type Path, type Problem } from './problems.ts';
import { SERVER_NAME, serverEntry } from './schema.ts';
import { brokenServer } from './server.ts';

/** What to read, and the servers that the main file has already. */
export interface DroppedOptions {
  /** The directory of the main file. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  readonly taken: readonly ServerConfig[];
}

/** The servers of servers.d. `fatal`: the directory itself cannot be read, so nobody knows what is configured. */
export interface Dropped {
  readonly servers: readonly ServerConfig[];
  readonly texts: readonly { readonly file: string; readonly text: string }[];
  readonly secretFiles: readonly string[];
  readonly warnings: readonly Problem[];
  readonly fatal: readonly Problem[];
}

/** The folder beside the main file. */
export const DROP_FOLDER = 'servers.d';
/** Said of a name that no server can have. */
export const BAD_NAME = 'a server is named with 1 to 64 characters of A-Z a-z 0-9 . _ -';

interface Gathering extends DroppedOptions {
  readonly servers: ServerConfig[];
  readonly texts: { file: string; text: string }[];
  readonly secretFiles: string[];
  readonly warnings: Problem[];
}

interface Entry {
  readonly name: string;
  readonly path: Path;
  readonly value: unknown;
}

/** Reads the folder in lexical order. Never throws. */
export function readDropped(options: DroppedOptions): Dropped {
  const folder = join(options.directory, DROP_FOLDER);
  const listing = listDirectory(folder);
  const nothing = { servers: [], texts: [], secretFiles: [], warnings: [] };
  if ('fault' in listing) return { ...nothing, fatal: [fileProblem(folder, listing.fault)] };
  const gathering: Gathering = { ...options, ...nothing };
  for (const file of listing.files.slice(0, MAX_DROPPED_FILES)) readOne(file, gathering);
  const over = listing.files[MAX_DROPPED_FILES];
  if (over !== undefined)
    gathering.warnings.push(fileProblem(over, `not read: ${DROP_FOLDER} holds more than ${MAX_DROPPED_FILES} files`));
  for (const file of listing.others)
    gathering.warnings.push(fileProblem(file, 'not read: only names that end in .json are', 'warning'));
  const { servers, texts, secretFiles, warnings } = gathering;
  return { servers, texts, secretFiles, warnings, fatal: [] };
}

function readOne(file: string, gathering: Gathering): void {
  const read = readRegularFile(file, { follow: false });
  if ('fault' in read) {
    takeOut(file, [fileProblem(file, read.fault)], gathering);
    return;
  }
  gathering.texts.push({ file, text: read.text });
  if (read.writable) gathering.warnings.push(fileProblem(file, WRITABLE, 'warning'));
  const document = parseDocument(file, read.text);
  const { entries, findings } = document.root === undefined ? { findings: [] } : entriesOf(document);
  const problems = [...document.problems, ...findings.map((finding) => problemAt(document, finding))];
  if (entries === undefined) {
    takeOut(file, problems, gathering);
    return;
  }
  gathering.warnings.push(...problems, ...refusedOutside(entries, document));
  for (const entry of entries) addEntry(entry, document, gathering);
}

/** Keys that occur twice outside of any entry; those inside are found with the entry. */
function refusedOutside(entries: readonly Entry[], document: Document): Problem[] {
  return document.refused
    .filter((finding) => !isWithinEntry(finding, entries))
    .map((finding) => problemAt(document, finding));
}

function isWithinEntry(finding: Finding, entries: readonly Entry[]): boolean {
  return entries.some(
    ({ path }) => finding.path.length > path.length && path.every((part, index) => part === finding.path[index]),
  );
}

/** Tells the three forms apart: a map under `mcpServers`, one entry, a bare map. */
function entriesOf({ value, file }: Document): { entries?: Entry[]; findings: Finding[] } {
  if (!isObject(value))
    return { findings: [{ path: [], message: 'must be an object: one server, or servers by name' }] };
  const { mcpServers } = value;
  if (mcpServers !== undefined) {
    const others = Object.keys(value).filter((key) => key !== 'mcpServers' && key !== '$schema');
    const message = 'ignored: only "mcpServers" is read in servers.d; settings belong into the main file';
    const findings = others.map((key) => ({ path: [key], atKey: true, severity: 'warning' as const, message }));
    if (!isObject(mcpServers))
      return { findings: [{ path: ['mcpServers'], message: 'must be an object of servers by name' }] };
    return { entries: mapEntries(mcpServers, ['mcpServers']), findings };
  }
  const rest: JsonObject = { ...value };
  delete rest.$schema;
  const keys = Object.keys(rest);
  const isMap =
    keys.length > 0 &&
    keys.every((key) => isObject(rest[key])) &&
    !keys.some((key) => Object.hasOwn(serverEntry.shape, key));
  if (!isMap) return { entries: [{ name: basename(file, '.json'), path: [], value: rest }], findings: [] };
  const [only = ''] = keys;
  if (keys.length === 1 && isMapOfMaps(rest[only])) {
    const hint = only === 'servers' ? '; rename the key to "mcpServers"' : didYouMean(only, ['mcpServers']);
    if (hint !== '')
      return { findings: [{ path: [only], atKey: true, message: `holds servers under an unknown key${hint}` }] };
  }
  return { entries: mapEntries(rest, []), findings: [] };
}

function isMapOfMaps(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.values(value).every((item) => isObject(item)) &&
    !Object.keys(value).some((key) => Object.hasOwn(serverEntry.shape, key))
  );
}

function mapEntries(map: JsonObject, base: Path): Entry[] {
  return Object.entries(map).map(([name, value]) => ({ name, path: [...base, name], value }));
}

function addEntry({ name, path, value }: Entry, document: Document, gathering: Gathering): void {
  const refuse = (message: string) =>
    gathering.warnings.push(problemAt(document, { path, atKey: true, message }, name));
  if (!SERVER_NAME.test(name)) {
    refuse(path.length === 0 ? `${BAD_NAME}; rename the file` : BAD_NAME);
    return;
  }
  const other = holderOf(name, gathering);
  if (other !== undefined) {
    refuse(`the name "${name}" is taken by the server at ${other}; this one is left out`);
    return;
  }
  const { directory, env } = gathering;
  const outcome = readEntry(
    { document, path, name, directory: dirname(document.file), mainDirectory: directory, env },
    value,
  );
  gathering.servers.push(outcome.server);
  gathering.secretFiles.push(...outcome.files);
  gathering.warnings.push(...outcome.faults, ...outcome.absences, ...outcome.warnings);
}

/** The file as a whole is out. It stands as one broken server of the file's name, so that it is seen, if that name is free. */
function takeOut(file: string, problems: readonly Problem[], gathering: Gathering): void {
  const name = basename(file, '.json');
  const first = problems[0];
  const visible = SERVER_NAME.test(name) && holderOf(name, gathering) === undefined;
  gathering.warnings.push(...problems.map((problem) => (visible ? { ...problem, server: name } : problem)));
  if (!visible || first === undefined) return;
  const source = { file, line: first.line, column: first.column };
  const place = { name, source, mainDirectory: gathering.directory, raw: {} };
  gathering.servers.push(brokenServer(place, `${file}:${first.line}:${first.column} ${first.message}`));
}

function holderOf(name: string, { taken, servers }: Gathering): string | undefined {
  const holder = [...taken, ...servers].find((server) => server.name === name);
  if (holder === undefined) return undefined;
  const { file, line, column } = holder.source;
  return `${file}:${line}:${column}`;
}
