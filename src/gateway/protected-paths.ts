// What servers may neither see nor change: the state, the control socket, the configuration, the program of the gateway.
import { lstatSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { listDirectory } from '../config/files.ts';
import { DROP_FOLDER } from '../config/folders.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import type { ProtectedPaths } from '../upstream/mcp/process/containment/containment.ts';

/** A configuration, and the state directory beside it. */
export interface ProtectedParts {
  readonly config: Config;
  readonly stateDirectory: string;
}

/** The paths to protect under a configuration: the files that it was read from, and those that lie there to be read next. */
export function protectedPaths({ config, stateDirectory }: ProtectedParts): ProtectedPaths {
  const folder = join(config.directory, DROP_FOLDER);
  const isLinked = [config.file, folder].some((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink());
  return {
    state: resolve(stateDirectory),
    hiddenFolders: process.platform === 'win32' ? [] : [dirname(controlSocketPath(stateDirectory))],
    hiddenFiles: [...new Set([...config.files, ...filesIn(folder), ...config.secretFiles])],
    // On a link nothing can be mounted, so that whoever may write beside it can put another one in its place.
    readOnly: [folder, ...(isLinked ? [config.directory] : []), ...PROGRAM],
  };
}

function filesIn(folder: string): string[] {
  try {
    return listDirectory(folder).files.map((name) => join(folder, name));
  } catch {
    return []; // a folder that cannot be listed is told where the configuration is read
  }
}

/** This file lies in dist/gateway, or in src/gateway where the sources run. */
const CODE = dirname(dirname(fileURLToPath(import.meta.url)));
const PACKAGE = dirname(CODE);

/** What runs here: the code, what it imports, and the runtime. */
const PROGRAM = [
  CODE,
  join(PACKAGE, 'package.json'),
  join(PACKAGE, 'node_modules'),
  ...modulesAround(PACKAGE),
  process.execPath,
];

/** An installed package finds what it imports beside itself. */
function modulesAround(path: string): string[] {
  const parts = path.split(sep);
  return parts.flatMap((_, index) => {
    const folder = parts.slice(0, index + 1).join(sep);
    return basename(folder) === 'node_modules' ? [folder] : [];
  });
}
