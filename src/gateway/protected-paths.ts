// The paths that processes of servers cannot see or cannot change: state, control socket, configuration, the program of the gateway.
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

/** The paths to protect under a configuration: the files that it was read from, and those that the next one would be read from. */
export function protectedPaths({ config, stateDirectory }: ProtectedParts): ProtectedPaths {
  const folder = join(config.directory, DROP_FOLDER);
  const isLinked = [config.file, folder].some((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink());
  return {
    state: resolve(stateDirectory),
    hiddenFolders: process.platform === 'win32' ? [] : [dirname(controlSocketPath(stateDirectory))],
    hiddenFiles: [...new Set([...config.files, ...filesIn(folder), ...config.secretFiles])],
    // Nothing can be mounted on a symbolic link: a server that can write to its folder could replace it, so the folder is read-only too.
    readOnly: [folder, ...(isLinked ? [config.directory] : []), ...PROGRAM],
  };
}

function filesIn(folder: string): string[] {
  try {
    return listDirectory(folder).files.map((name) => join(folder, name));
  } catch {
    return []; // reading the configuration reports a folder that cannot be listed
  }
}

/** This file lies in dist/gateway, or in src/gateway where the sources run. */
const CODE = dirname(dirname(fileURLToPath(import.meta.url)));
const PACKAGE = dirname(CODE);

/** The code of the gateway, the packages that it imports, and Node. */
const PROGRAM = [
  CODE,
  join(PACKAGE, 'package.json'),
  join(PACKAGE, 'node_modules'),
  ...modulesAround(PACKAGE),
  process.execPath,
];

/** The `node_modules` folders above a path: an installed package finds its dependencies there. */
function modulesAround(path: string): string[] {
  const parts = path.split(sep);
  return parts.flatMap((_, index) => {
    const folder = parts.slice(0, index + 1).join(sep);
    return basename(folder) === 'node_modules' ? [folder] : [];
  });
}
