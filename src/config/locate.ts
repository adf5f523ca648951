// Finds the main file of a configuration without loading it, since most commands need only its path.
import { statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { ConfigError } from './problems.ts';

/** Where to look for the main file. */
export interface LocateOptions {
  /** The value of `--config`. */
  readonly flag?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly platform?: NodeJS.Platform;
}

const FILE_NAME = 'mcp-gateway.json';

/** Finds the main file by flag, environment, working directory, the user's folder. Throws ConfigError with the places that it looked at. */
export function locateConfig({ flag, env, cwd, platform = process.platform }: LocateOptions): string {
  const named = nonEmpty(flag) ?? nonEmpty(env.MCP_GATEWAY_CONFIG);
  if (named !== undefined) {
    const file = resolve(cwd, named);
    if (isFile(file)) return file;
    const origin = nonEmpty(flag) === undefined ? 'MCP_GATEWAY_CONFIG' : '--config';
    throw new ConfigError(`${origin} names ${file}, which is not a file. Create it or correct the path.`);
  }
  const places = [
    join(cwd, FILE_NAME),
    ...userFolder(env, platform).map((folder) => join(folder, 'mcp-gateway', FILE_NAME)),
  ];
  const found = places.find(isFile);
  if (found !== undefined) return found;
  throw new ConfigError(
    `There is no configuration. Looked for ${places.join(' and ')}. Create one, the least is {}, or name it with --config or MCP_GATEWAY_CONFIG.`,
  );
}

/** The default state directory of a configuration. */
export function stateBeside(file: string): string {
  return join(dirname(resolve(file)), '.mcp-gateway');
}

function userFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string[] {
  const home = nonEmpty(env.HOME) ?? nonEmpty(env.USERPROFILE);
  const below = (...parts: string[]) => (home === undefined ? [] : [join(home, ...parts)]);
  if (platform === 'win32')
    return nonEmpty(env.APPDATA) === undefined ? below('AppData', 'Roaming') : [env.APPDATA ?? ''];
  if (platform === 'darwin') return below('Library', 'Application Support');
  const xdg = nonEmpty(env.XDG_CONFIG_HOME);
  return xdg !== undefined && isAbsolute(xdg) ? [xdg] : below('.config');
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}
