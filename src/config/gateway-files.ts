// Refuses arguments that give a server the gateway's own files: a directory that holds its state, its configuration or servers.d.
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { ConfigPlaces } from './folders.ts';
import type { Finding } from './positions.ts';
import { realOf } from './real-path.ts';

/** The files and folders that no argument of a server may give it; paths without symbolic links. */
export interface GatewayPlaces {
  readonly places: readonly GatewayPlace[];
  /** Folders that the gateway makes when it starts. */
  readonly made: readonly string[];
}

interface GatewayPlace {
  readonly path: string;
  readonly what: string;
  /** Whether the directories in it are the gateway's own too. */
  readonly inside: boolean;
}

/** The arguments of an entry with their references resolved, and what relative paths in them are relative to. */
export interface ArgumentsOf {
  readonly args: readonly string[];
  /** The absolute directory that relative arguments are relative to. */
  readonly cwd: string;
  /** The directory that `~` means in programs that expand it. */
  readonly home: string | undefined;
}

/** The places that an argument must not name, for a configuration and the state directory of its gateway. */
export function gatewayPlaces({ files, dropFolder }: ConfigPlaces, state: string): GatewayPlaces {
  const real = realOf(resolve(state));
  return {
    made: [real, dropFolder],
    places: [
      { path: real, what: `the gateway's state, ${real}`, inside: true },
      { path: dropFolder, what: `the folder of its servers, ${dropFolder}`, inside: true },
      ...[...new Set(files)].map((path) => ({ path, what: `its configuration, ${path}`, inside: false })),
    ],
  };
}

/** A finding for each argument that names a directory which holds one of the places. An argument may name any file. */
export function gatewayFileFindings({ args, ...context }: ArgumentsOf, guarded: GatewayPlaces): Finding[] {
  return args.flatMap((arg, index) => {
    const [found] = pathsIn(arg, context).flatMap((named) => relationTo(guarded, named) ?? []);
    if (found === undefined) return [];
    const message = `the directory that this argument names ${found}, so the server could change what the gateway does; name a directory of its own, or set "allowGatewayFiles": true in this entry`;
    return [{ path: ['args', index], message }];
  });
}

/** The paths that an argument may mean: the argument itself, the value of `--flag=PATH` and of `src=PATH,…`, the host's side of `HOST:CONTAINER`. */
function pathsIn(arg: string, context: Pick<ArgumentsOf, 'cwd' | 'home'>): string[] {
  const values = [arg, ...arg.split(',')]
    .filter((text) => !/^(?:dst|destination|target)=/i.test(text))
    .flatMap((text) => [text, text.slice(text.indexOf('=') + 1)]);
  return [...new Set(values)].flatMap((text) => {
    if (text === '' || text.length > BOUNDS.argumentPath || text.includes('\0')) return [];
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return pathOfUrl(text) ?? [];
    const host = process.platform === 'win32' ? '' : text.slice(0, Math.max(0, text.indexOf(':')));
    return (host === '' ? [text] : [text, host]).map((name) => absolute(name, context));
  });
}

function pathOfUrl(text: string): string | undefined {
  try {
    return fileURLToPath(text);
  } catch {
    return undefined; // the URL is not that of a file
  }
}

/** The absolute path of a name. It expands `~`, as programs do themselves where no shell starts them. */
function absolute(name: string, { cwd, home }: Pick<ArgumentsOf, 'cwd' | 'home'>): string {
  const atHome = home !== undefined && /^~(?:[/\\]|$)/.test(name);
  return atHome ? join(home, name.slice(1)) : resolve(cwd, name);
}

/** How a directory relates to one of the places, as the end of a sentence about it. */
function relationTo({ places, made }: GatewayPlaces, path: string): string | undefined {
  if (!mayBeDirectory(path, made)) return undefined;
  const real = realOf(path);
  if (!existsSync(real) && !made.includes(real)) return undefined;
  const held = places.find((place) => holds(real, place.path));
  if (held) return `holds ${held.what}`;
  const around = places.find((place) => place.inside && holds(place.path, real));
  return around && `lies in ${around.what}`;
}

/** A quick test, since most arguments name no directory. The gateway may create some directories only later. */
function mayBeDirectory(path: string, made: readonly string[]): boolean {
  try {
    const found = statSync(path, { throwIfNoEntry: false })?.isDirectory();
    return found ?? made.some((directory) => basename(path) === basename(directory));
  } catch {
    return false; // nothing that a server could use
  }
}

function holds(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}
