// Gathers the servers of all files into one list: each name once; a fault in an entry takes out that entry alone.
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
export function takeOut(file: string, problems: readonly Problem[], gathering: Gathering): void {
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
