// Gathers the servers of all files into one list: each name once, and what is wrong with an entry takes out that entry alone.
import { basename, dirname } from 'node:path';
import { isObject } from '../core/json.ts';
import type { ServerConfig } from './config.ts';
import { readEntry } from './entry.ts';
import type { ConfigFolders } from './folders.ts';
import { withToolLists } from './formats.ts';
import type { GatewayPlaces } from './gateway-files.ts';
import type { Holding, WrittenEntry } from './holdings.ts';
import { type Document, type Finding, problemAt } from './positions.ts';
import { isWithin, type Problem } from './problems.ts';
import { nameFault } from './schema.ts';
import { brokenServer } from './server.ts';

/** What was gathered so far, and what it is resolved against. */
export interface Gathering {
  readonly folders: ConfigFolders;
  readonly env: NodeJS.ProcessEnv;
  /** What the arguments of servers must not name. */
  readonly places: GatewayPlaces;
  /** By name, in the order in which they were found. */
  readonly servers: Map<string, ServerConfig>;
  /** The files that hold secrets of the entries. */
  readonly secretFiles: Set<string>;
  readonly problems: Problem[];
}

/** Adds the servers of a file, and what there is to say of it. */
export function gather(document: Document, { entries, findings }: Holding, gathering: Gathering): void {
  const told = findings.map((finding) => problemAt(document, finding));
  if (entries === undefined) {
    takeOut(document.file, [...document.problems, ...told], gathering);
    return;
  }
  const refused = document.refused.filter((finding) => !entries.some(({ path }) => isInside(finding, path)));
  gathering.problems.push(...told, ...refused.map((finding) => problemAt(document, finding)));
  for (const entry of entries) addEntry(entry, document, gathering);
}

/** The file as a whole is out. It stands as one broken server of the file's name, so that it is seen, if that name is free. */
export function takeOut(file: string, problems: readonly Problem[], gathering: Gathering): void {
  const name = basename(file, '.json');
  const first = problems[0];
  const visible = nameFault(name) === undefined && !gathering.servers.has(name);
  gathering.problems.push(...problems.map((problem) => (visible ? { ...problem, server: name } : problem)));
  if (!visible || first === undefined) return;
  const source = { file, line: first.line, column: first.column };
  const place = { name, source, mainDirectory: gathering.folders.directory, home: '', raw: {} };
  gathering.servers.set(name, brokenServer(place, `${file}:${first.line}:${first.column} ${first.message}`));
}

/** What is inside an entry is told with it. */
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
