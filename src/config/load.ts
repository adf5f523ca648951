// Loads a configuration, the main file and the files of servers.d beside it, and reports all problems at once.
import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Config, ServerConfig } from './config.ts';
import { ConfigFolders } from './folders.ts';
import { gatewayPlaces } from './gateway-files.ts';
import { gather, gatherFolder, type Gathering } from './gathering.ts';
import { readMain } from './holdings.ts';
import { stateBeside } from './locate.ts';
import { type Document, fileProblem, parseDocument, problemAt } from './positions.ts';
import { formatPath, type Problem } from './problems.ts';
import { readSettings } from './settings.ts';
import { plainName } from '../core/json.ts';

/** A configuration with its warnings, or all of its problems. */
export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const NOT_JSON = 'is not read: a configuration is JSON, with comments if you like; TOML and YAML are not read';

export interface LoadOptions {
  readonly env: NodeJS.ProcessEnv;
  /** The state directory, which no argument of a server may name. */
  readonly state: string;
}

/** Loads a configuration once. Never throws. Invalid settings make the whole configuration invalid, an invalid server only itself. */
export function loadConfig(file: string, env: NodeJS.ProcessEnv, state = stateBeside(file)): LoadResult {
  const folders = new ConfigFolders(file);
  try {
    return loadFrom(folders, { env, state });
  } finally {
    folders.close();
  }
}

/** Loads the main file and servers.d from folders that earlier readings may have opened. Never throws. */
export function loadFrom(folders: ConfigFolders, { env, state }: LoadOptions): LoadResult {
  const { file, directory } = folders;
  const read = folders.readMain();
  if (read.text === undefined) return { ok: false, problems: read.problems };
  if (/\.(toml|ya?ml)$/i.test(file)) return { ok: false, problems: [fileProblem(file, NOT_JSON)] };
  const document = parseDocument(file, read.text);
  const holding = readMain(document.value);
  const settings = readSettings(document, { directory, env, foreign: holding.foreign });
  const listing = folders.listDropped();
  const places = gatewayPlaces(folders.places(listing.files), state);
  const gathering: Gathering = {
    folders,
    env,
    places,
    servers: new Map(),
    secretFiles: new Set(settings.files),
    problems: [],
  };
  if (holding.entries !== undefined) gather(serversOf(document, holding.foreign), holding, gathering);
  const unheld = holding.entries === undefined ? holding.findings.map((finding) => problemAt(document, finding)) : [];
  const folder = gatherFolder(listing, gathering);
  const replaced = folders.confirm();
  const own = [...read.problems, ...(replaced ? [replaced] : [])];
  const fatal = inOrder([
    ...own.filter(isError),
    ...document.problems,
    ...settings.problems,
    ...unheld,
    ...folder.fatal,
  ]);
  const warnings = inOrder([
    ...own.filter((problem) => !isError(problem)),
    ...settings.warnings,
    ...gathering.problems,
  ]);
  if (settings.values === undefined || fatal.length > 0) return { ok: false, problems: [...fatal, ...warnings] };
  folders.release();
  const servers = [...gathering.servers.values()];
  const files = [{ file, text: read.text }, ...folder.texts];
  const config: Config = {
    file,
    directory,
    hash: hashOf(directory, files),
    listen: settings.values.listen,
    auth: { tokens: settings.tokens },
    audit: settings.values.audit,
    limits: settings.values.limits,
    servers,
    files: files.map((one) => one.file),
    secretFiles: [...gathering.secretFiles],
  };
  return { ok: true, config: freeze(config), warnings: [...warnings, ...aliasWarnings(servers)] };
}

function isError({ severity }: Problem): boolean {
  return severity === 'error';
}

/** The main file with the repeated keys inside its servers only: the check of the settings reports the others. */
function serversOf(document: Document, foreign: ReadonlySet<string>): Document {
  const refused = document.refused.filter(({ path }) => path.length > 1 && foreign.has(String(path[0])));
  return { ...document, refused };
}

/** Warns of prefixes that are rarely intended: the same one for two servers, so that names get a hash, one without letters and digits, and a long one. */
function aliasWarnings(servers: readonly ServerConfig[]): Problem[] {
  const first = new Map<string, string>();
  return servers.flatMap(({ name, alias, source }) => {
    const prefix = plainName(alias);
    const other = first.get(prefix.toLowerCase());
    if (other === undefined) first.set(prefix.toLowerCase(), name);
    const message = aliasFault({ alias, prefix, other });
    if (message === undefined) return [];
    return [{ severity: 'warning' as const, ...source, path: formatPath([name]), message, server: name }];
  });
}

function aliasFault({ alias, prefix, other }: { alias: string; prefix: string; other?: string | undefined }) {
  const advice = 'give one of them another "alias"';
  if (other !== undefined && prefix === alias) return `the alias "${alias}" is also that of "${other}"; ${advice}`;
  if (other !== undefined)
    return `its names begin with "${prefix}__", as those of "${other}" do, and get a hash; ${advice}`;
  const advised = 'give it an "alias" of at most 32 characters';
  if (!/[A-Za-z0-9]/.test(prefix)) return `its names begin with "${prefix}__", which says nothing; ${advised}`;
  if (prefix.length > BOUNDS.namePrefix) return `its name is too long to stand before those of its tools; ${advised}`;
  return undefined;
}

function hashOf(directory: string, files: readonly { file: string; text: string }[]): string {
  const hash = createHash('sha256');
  for (const { file, text } of files) hash.update(JSON.stringify([relative(directory, file), text]));
  return hash.digest('hex');
}

/** The problems file by file, each from top to bottom. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  const rank = new Map(files.map((file, index) => [file, index]));
  const rankOf = (problem: Problem) => rank.get(problem.file) ?? 0;
  return [...problems].sort((a, b) => rankOf(a) - rankOf(b) || a.line - b.line || a.column - b.column);
}

/** Freezes a value at every depth. A Secret stays usable, since it does not keep its value in a property. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) freeze(item);
  return Object.freeze(value);
}
