// Gathers the servers of the main file and of servers.d into one list, in which a fault takes out its entry alone, or its file of servers.d.
import { basename, dirname } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import { readEntry } from './entry.ts';
import { type ConfigFolders, DROP_FOLDER, type DropListing } from './folders.ts';
import { withToolLists } from './formats.ts';
import type { GatewayPlaces } from './gateway-files.ts';
import { type Holding, readServerEntries, type WrittenEntry } from './holdings.ts';
import { type Document, fileProblem, type Finding, parseDocument, problemAt } from './positions.ts';
import { isWithin, type Problem } from './problems.ts';
import { nameFault } from './schema.ts';
import { brokenServer } from './server.ts';

/** The servers gathered so far, and what their entries are resolved against. */
export interface Gathering {
  readonly folders: ConfigFolders;
  readonly env: NodeJS.ProcessEnv;
  /** The gateway's own files, which the arguments of servers must not name. */
  readonly places: GatewayPlaces;
  /** By name, in the order of the files. */
  readonly servers: Map<string, ServerConfig>;
  /** The files with secrets of the entries. */
  readonly secretFiles: Set<string>;
  readonly problems: Problem[];
}

/** The texts of the folder's files. `fatal`: the folder itself cannot be read, so the gateway does not know what is configured. */
interface DroppedFiles {
  readonly texts: readonly { readonly file: string; readonly text: string }[];
  readonly fatal: readonly Problem[];
}

/** Reads the listed files. Never throws. */
export function gatherFolder(listing: DropListing, gathering: Gathering): DroppedFiles {
  const fatal = listing.problems.filter(({ severity }) => severity === 'error');
  if (fatal.length > 0) return { texts: [], fatal };
  gathering.problems.push(...listing.problems);
  const texts = listing.files.slice(0, BOUNDS.serverFiles).flatMap((file) => gatherFile(file, gathering));
  const over = listing.files[BOUNDS.serverFiles];
  if (over !== undefined)
    gathering.problems.push(fileProblem(over, `not read: ${DROP_FOLDER} holds more than ${BOUNDS.serverFiles} files`));
  for (const file of listing.others) gathering.problems.push(fileProblem(file, unread(file), 'warning'));
  return { texts, fatal: [] };
}

function gatherFile(file: string, gathering: Gathering): { file: string; text: string }[] {
  const read = gathering.folders.readDropped(file);
  if (read.text === undefined) {
    takeOut(file, read.problems, gathering);
    return [];
  }
  gathering.problems.push(...read.problems);
  const document = parseDocument(file, read.text);
  if (document.root === undefined) takeOut(file, document.problems, gathering);
  else gather(document, readServerEntries(document.value, file), gathering);
  return [{ file, text: read.text }];
}

/** Why a file is not read. It names the clients whose files are TOML or YAML, since people copy those. */
function unread(file: string): string {
  const why = 'not read: only names that end in .json are';
  if (/\.toml$/i.test(file)) return `${why}; write the servers of a Codex file ([mcp_servers.NAME]) as JSON`;
  if (/\.ya?ml$/i.test(file)) return `${why}; write the servers of a Continue or Goose file as JSON`;
  return why;
}

/** Adds the servers of a file, and the problems of the file. */
export function gather(document: Document, { entries, findings }: Holding, gathering: Gathering): void {
  const found = findings.map((finding) => problemAt(document, finding));
  if (entries === undefined) {
    takeOut(document.file, [...document.problems, ...found], gathering);
    return;
  }
  const refused = document.refused.filter((finding) => !entries.some(({ path }) => isInside(finding, path)));
  gathering.problems.push(...found, ...refused.map((finding) => problemAt(document, finding)));
  for (const entry of entries) addEntry(entry, document, gathering);
}

/** Takes out a whole file. If the file's name is free, a broken server of that name shows the problem. */
function takeOut(file: string, problems: readonly Problem[], gathering: Gathering): void {
  const name = basename(file, '.json');
  const first = problems[0];
  const visible = nameFault(name) === undefined && !gathering.servers.has(name);
  gathering.problems.push(...problems.map((problem) => (visible ? { ...problem, server: name } : problem)));
  if (!visible || first === undefined) return;
  const source = { file, line: first.line, column: first.column };
  const place = { name, source, mainDirectory: gathering.folders.directory, home: '', raw: {} };
  gathering.servers.set(name, brokenServer(place, { faults: problems }));
}

/** Whether a finding is inside an entry, whose own problems then include it. */
function isInside(finding: Finding, path: WrittenEntry['path']): boolean {
  return finding.path.length > path.length && isWithin(finding.path, path);
}

function addEntry({ name, path, value, translate }: WrittenEntry, document: Document, gathering: Gathering): void {
  const refuse = (message: string) =>
    gathering.problems.push(problemAt(document, { path, atKey: true, message }, name === '' ? undefined : name));
  if (name === undefined) {
    refuse('an entry of a list needs a "name"; this one is left out');
    return;
  }
  const fault = nameFault(name);
  if (fault !== undefined) {
    refuse(path.length === 0 ? `${fault}; rename the file` : `${fault}; this one is left out`);
    return;
  }
  const other = gathering.servers.get(name)?.source;
  if (other !== undefined) {
    const place = `${other.file}:${other.line}:${other.column}`;
    refuse(`the name "${name}" is taken by the server at ${place}; this one is left out`);
    return;
  }
  const { folders, env, places } = gathering;
  const directories = { directory: dirname(document.file), mainDirectory: folders.directory };
  const written = isObject(value) ? withToolLists(translate(value)) : undefined;
  const outcome = readEntry({ document, path, name, ...directories, env, places, written });
  gathering.servers.set(name, outcome.server);
  for (const file of outcome.files) gathering.secretFiles.add(file);
  gathering.problems.push(...outcome.problems);
}
