// Finds the program that a server's `command` names, without a shell.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { GatewayError } from '../../../core/errors.ts';

/** Where to look for a command. */
export interface CommandSearch {
  /** The PATH of the server: its entry may declare one. */
  readonly path: string | undefined;
  /** The directory that a command with a slash in it is relative to. */
  readonly cwd: string;
  /** The `PATHEXT` of the server: file endings to try on Windows. */
  readonly pathExt?: string | undefined;
}

/** What lies at a path. */
type Finding = 'program' | 'not a file' | 'not executable' | 'out of reach' | 'absent';

/**
 * The absolute path of the program that `command` names.
 * Throws `upstream_unreachable`, which names the command, the places that were searched, and what to do.
 */
export function resolveCommand(command: string, search: CommandSearch): string {
  if (command === '' || command.includes('\0')) {
    throw new GatewayError(
      'upstream_unreachable',
      'The command is empty or has a NUL in it. Set `command` to a program.',
    );
  }
  const candidates = candidatesFor(command, search);
  let nearMiss: string | undefined;
  for (const candidate of candidates) {
    const finding = look(candidate);
    if (finding === 'program') return candidate;
    if (finding !== 'absent') nearMiss ??= describeMiss(candidate, finding);
  }
  const detail = nearMiss === undefined && !hasDirectory(command) ? describePath(search.path) : undefined;
  throw new GatewayError('upstream_unreachable', nearMiss ?? describeAbsence(command, search), { detail });
}

const hasDirectory = (command: string) =>
  command.includes('/') || (process.platform === 'win32' && command.includes('\\'));

/** Without empty and relative PATH entries: a program that somebody put into a working directory must not be started. */
const directoriesOf = (path: string | undefined) => (path ?? '').split(delimiter).filter((entry) => isAbsolute(entry));

function candidatesFor(command: string, search: CommandSearch): string[] {
  const files = hasDirectory(command)
    ? [resolve(search.cwd, command)]
    : directoriesOf(search.path).map((directory) => resolve(directory, command));
  if (process.platform !== 'win32') return files;
  const endings = (search.pathExt ?? '.COM;.EXE;.BAT;.CMD').split(';').filter((ending) => ending !== '');
  const complete = endings.some((ending) => command.toLowerCase().endsWith(ending.toLowerCase()));
  return complete ? files : files.flatMap((file) => endings.map((ending) => file + ending));
}

function look(file: string): Finding {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return 'absent';
    if (!stat.isFile()) return 'not a file';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'out of reach' : 'absent';
  }
  try {
    accessSync(file, constants.X_OK);
    return 'program';
  } catch {
    return 'not executable';
  }
}

function describeMiss(file: string, finding: Exclude<Finding, 'program' | 'absent'>): string {
  switch (finding) {
    case 'not a file':
      return `The command ${file} is not a file. Set \`command\` to a program.`;
    case 'out of reach':
      return `The command ${file} lies in a directory that this user may not enter. Give access to it, or correct \`command\`.`;
    case 'not executable':
      return `The command ${file} is not executable by this user. Run \`chmod +x ${file}\`, or name its interpreter in \`command\` and the file in \`args\`.`;
  }
}

function describeAbsence(command: string, search: CommandSearch): string {
  if (command.startsWith('~')) {
    return `The command ${command} was not found: no shell runs it, so ~ stays as it is. Write the whole path in \`command\`.`;
  }
  if (/\s/u.test(command)) {
    return `The command "${command}" was not found. \`command\` is one program and nothing else; put its arguments into \`args\`.`;
  }
  if (hasDirectory(command)) {
    return `The command ${resolve(search.cwd, command)} does not exist. Correct \`command\`, or install the program.`;
  }
  const directories = directoriesOf(search.path);
  if (directories.length === 0) {
    return `The command ${command} was not found, because PATH names no directory. Set PATH in \`env\`, or write the whole path in \`command\`.`;
  }
  return `The command ${command} was not found in PATH. Install it, write its whole path in \`command\`, or set PATH in \`env\`.`;
}

/** The places that were searched, which the operator may see and callers may not. */
function describePath(path: string | undefined): string | undefined {
  const directories = directoriesOf(path);
  return directories.length > 0 ? `PATH is ${directories.join(delimiter)}` : undefined;
}
