// The command line that runs this program, for hints and examples: as it was invoked, because the name on npm is another package's.
import { existsSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, parse, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAME = 'mcp-gateway';
/** The folder of the package: the clone, or the installed package. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const PLAIN_WORD = /^[\w@%+=:,./~-]+$/;

/** How a process was started. */
export interface Start {
  /** The program: `node`, or a path. */
  readonly argv0: string;
  /** The script and its arguments. */
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The command line that runs this program again from the same folder. */
export function programOf({ argv0, argv: [script = ''], cwd, env }: Start): string {
  const entry = join(PACKAGE, 'dist/cli/bin.js');
  const linked = basename(script) === NAME;
  if (!linked && resolve(cwd, script) !== entry) return NAME; // another program runs this code
  const byNpm = env.npm_command !== undefined || env.npm_lifecycle_event !== undefined;
  const folder = dirname(resolve(cwd, script));
  if (linked && byNpm && basename(folder) === '.bin') return `npx ${NAME}`;
  // in an npm script `argv0` is not the shell's Node; the link in `.bin` works in both
  const inClone = !relative(PACKAGE, cwd).startsWith('..') && existsSync(join(PACKAGE, 'node_modules/.bin', NAME));
  if (!linked && byNpm && inClone) return `npx ${NAME}`;
  if (linked && (env.PATH ?? '').split(delimiter).some((each) => resolve(each) === folder)) return NAME;
  const shown = shownFrom(cwd, resolve(cwd, script));
  return linked ? word(shown) : `${word(argv0)} ${word(shown)}`;
}

/** A path, relative if it is below the folder. */
function shownFrom(cwd: string, path: string): string {
  const below = relative(cwd, path);
  if (cwd === parse(cwd).root || below.startsWith('..') || isAbsolute(below)) return path;
  return below.includes('/') ? below : `./${below}`;
}

/** The `--config` and `--state` of the command line: without them a hint would name another gateway. */
function placeOf([, ...args]: readonly string[]): string[] {
  return args.flatMap((arg, at) => {
    if (/^--(config|state)=/.test(arg)) return [word(arg)];
    return (arg === '--config' || arg === '--state') && args[at + 1] !== undefined
      ? [arg, word(args[at + 1] ?? '')]
      : [];
  });
}

function word(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function thisStart(): Start {
  return { argv0: process.argv0, argv: process.argv.slice(1), cwd: process.cwd(), env: process.env };
}

/** This program, for a person. */
export function program(): string {
  return programOf(thisStart());
}

/** A command line for a person to type: this program, the words, and the flags that name the same gateway. */
export function hint(words: string, start: Start = thisStart()): string {
  return [programOf(start), words, ...placeOf(start.argv)].join(' ');
}

/** This program, for another program to start from any folder. */
export function absoluteProgram(): string {
  return `${word(process.execPath)} ${word(join(PACKAGE, 'dist/cli/bin.js'))}`;
}
