// The containment in which processes of servers run: what they cannot see or cannot change there, and how far that works.
import { lstatSync, mkdirSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import type { Config, ServerConfig } from '../config/config.ts';
import { DROP_FOLDER } from '../config/folders.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Confinement } from '../upstream/mcp/process/containment/confinement.ts';
import {
  type Containment,
  isProtection,
  type ProtectedPaths,
} from '../upstream/mcp/process/containment/containment.ts';
import { fileURLToPath } from 'node:url';
import { listDirectory } from '../config/files.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import type { GatewayOptions } from './compose.ts';

export class ConfinedServers {
  private readonly atStart: Config;
  private readonly logger: Logger;
  private readonly confinement: Confinement;
  private config: Config;

  constructor({ config, logger }: Pick<GatewayOptions, 'config' | 'logger'>, stateDirectory: string) {
    if (process.platform === 'linux') ensureDropFolder(config);
    this.atStart = this.config = config;
    this.logger = logger;
    this.confinement = new Confinement({
      paths: () => protectedPaths(this.config, stateDirectory),
      warn: (message) => logger.warn(message),
    });
  }

  /** The containment for the next process. */
  readonly containment = (): Promise<Containment> => this.confinement.containment();

  /** Hides the files of a configuration, and those that the next one may be read from, from every server, running ones too. */
  hide(config = this.config): Promise<void> {
    this.config = config;
    return this.confinement.renew();
  }

  /** Logs what servers can and cannot do here, and which of them run as root. */
  async logContainment(): Promise<void> {
    const { logger } = this;
    const processes = this.atStart.servers.filter(isProcess);
    if (processes.length === 0) return;
    const containment = await this.containment();
    const { name, description } = containment;
    const line = `stdio servers: ${description}`;
    if (isProtection(containment)) logger.info({ containment: name }, line);
    else logger.warn({ containment: name }, line);
    if (process.geteuid?.() !== 0) return;
    const names = processes.map((server) => server.name).join(', ');
    logger.warn(
      `these servers run as root: ${names}; they can change whatever is on this machine. Run the gateway as a user of its own, or put them into containers`,
    );
  }

  close(): Promise<void> {
    return this.confinement.close();
  }
}

/** Whether a process of this server may be started. */
export function isProcess({ transport, disabled, problem }: ServerConfig): boolean {
  return transport === 'stdio' && !disabled && problem === undefined;
}

/**
 * Makes `servers.d` where it is missing. A folder that does not exist cannot be mounted read-only, so a server could make it and write an
 * entry of its own. Where the user of the gateway cannot write there, its servers cannot either. The gateway does this only at the start:
 * an operator who removes the folder later does not want it.
 */
function ensureDropFolder(config: Config): void {
  try {
    mkdirSync(join(config.directory, DROP_FOLDER));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EEXIST', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error;
  }
}

/** The paths to protect under a configuration: the files that it was read from, and those that the next one would be read from. */
function protectedPaths(config: Config, stateDirectory: string): ProtectedPaths {
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
