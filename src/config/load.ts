// Loads a configuration: the main file, the files of servers.d beside it, everything wrong with them at once.
import { createHash } from 'node:crypto';
import { dirname, relative, resolve } from 'node:path';
import { isObject } from '../core/json.ts';
import type { Config, ServerConfig } from './config.ts';
import { BAD_NAME, readDropped } from './dropped.ts';
import { type EntryOutcome, readEntry } from './entry.ts';
import { readRegularFile, WRITABLE } from './files.ts';
import { type Document, fileProblem, parseDocument, problemAt } from './positions.ts';
import type { Problem } from './problems.ts';
import { SERVER_NAME } from './schema.ts';
import { readSettings } from './settings.ts';

/** A configuration with what is worth saying about it, or everything that is wrong with it. */
export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Loads the main file and servers.d. Never throws; an invalid main file is no result at all, an unusable server is only that. */
export function loadConfig(file: string, env: NodeJS.ProcessEnv): LoadResult {
  const path = resolve(file);
  const read = readRegularFile(path, { follow: true });
  if ('fault' in read) return { ok: false, problems: [fileProblem(path, read.fault)] };
  const document = parseDocument(path, read.text);
  const directory = dirname(path);
  const settings = readSettings(document, directory, env);
  const entries = readEntries(document, directory, env);
  const main = entries.outcomes.map((outcome) => outcome.server);
  const dropped = readDropped({ directory, env, taken: main });
  const fatal = inOrder([...document.problems, ...settings.problems, ...entries.problems, ...dropped.fatal]);
  const warnings = inOrder([
    ...(read.writable ? [fileProblem(path, WRITABLE, 'warning')] : []),
    ...settings.warnings,
    ...entries.outcomes.flatMap((outcome) => [...outcome.absences, ...outcome.warnings]),
    ...dropped.warnings,
  ]);
  if (settings.values === undefined || fatal.length > 0) return { ok: false, problems: [...fatal, ...warnings] };
  const servers = [...main, ...dropped.servers];
  const files = [{ file: path, text: read.text }, ...dropped.texts];
  const config: Config = {
    file: path,
    directory,
    hash: hashOf(directory, files),
    listen: settings.values.listen,
    auth: { tokens: settings.tokens },
    audit: settings.values.audit,
    limits: settings.values.limits,
    servers,
    files: files.map((one) => one.file),
    secretFiles: [
      ...new Set([...settings.files, ...entries.outcomes.flatMap((outcome) => outcome.files), ...dropped.secretFiles]),
    ],
  };
  return { ok: true, config: freeze(config), warnings: [...warnings, ...aliasWarnings(servers)] };
}

interface EntriesRead {
  readonly outcomes: readonly EntryOutcome[];
  readonly problems: readonly Problem[];
}

/** The servers of the main file, where a fault is one of the file as a whole. */
function readEntries(document: Document, directory: string, env: NodeJS.ProcessEnv): EntriesRead {
  const map = isObject(document.value) ? document.value.mcpServers : undefined;
  if (map === undefined) return { outcomes: [], problems: [] };
  if (!isObject(map)) {
    const message = 'must be an object of servers by name, such as { "files": { "command": "npx" } }';
    return { outcomes: [], problems: [problemAt(document, { path: ['mcpServers'], message })] };
  }
  const outcomes = Object.entries(map).map(([name, value]) =>
    readEntry({ document, path: ['mcpServers', name], name, directory, mainDirectory: directory, env }, value),
  );
  const badNames = Object.keys(map)
    .filter((name) => !SERVER_NAME.test(name))
    .map((name) => problemAt(document, { path: ['mcpServers', name], atKey: true, message: BAD_NAME }));
  return { outcomes, problems: [...badNames, ...outcomes.flatMap((outcome) => outcome.faults)] };
}

/** Two servers of one alias are told apart by a hash in the names, which is rarely what was wanted. */
function aliasWarnings(servers: readonly ServerConfig[]): Problem[] {
  const first = new Map<string, string>();
  return servers.flatMap(({ name, alias, source }) => {
    const other = first.get(alias.toLowerCase());
    if (other === undefined) first.set(alias.toLowerCase(), name);
    if (other === undefined) return [];
    const message = `the alias "${alias}" is also that of "${other}"; give one of them another "alias"`;
    return [{ severity: 'warning' as const, ...source, path: name, message, server: name }];
  });
}

function hashOf(directory: string, files: readonly { file: string; text: string }[]): string {
  const hash = createHash('sha256');
  for (const { file, text } of files) hash.update(JSON.stringify([relative(directory, file), text]));
  return hash.digest('hex');
}

/** File by file, each from top to bottom. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  const rank = new Map(files.map((file, index) => [file, index]));
  const rankOf = (problem: Problem) => rank.get(problem.file) ?? 0;
  return [...problems].sort((a, b) => rankOf(a) - rankOf(b) || a.line - b.line || a.column - b.column);
}

/** Freezes all of it; a Secret keeps its value outside of itself. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) freeze(item);
  return Object.freeze(value);
}
