// Finds the command that the arguments name, runs it, and turns every error into an exit status.
import { COMMANDS, familyOf, findCommand, meantCommand } from './commands.ts';
import { EXIT, exitOf, explain, UsageError } from './exit-codes.ts';
import { commandHelp, familyHelp, topHelp } from './help.ts';
import { isCommonFlag, readArguments, splitLeadingFlags } from './options.ts';
import { print, printJson, say } from './output.ts';
import { program } from './program.ts';
import { VERSION } from './version.ts';

/** Runs the command that the arguments name and sets the exit status. */
export async function main(args: readonly string[]): Promise<void> {
  // a closed stdout (`| head`) is not a failure
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.internal),
  );
  // a closed stderr changes neither the status nor the data
  process.stderr.on('error', () => undefined);
  process.exitCode = await statusOf(args);
}

/** Runs the command that the arguments name; its exit status. Says what went wrong. */
export async function statusOf(args: readonly string[]): Promise<number> {
  try {
    return await run(args);
  } catch (error) {
    say(`mcp-gateway: ${explain(error)}`);
    return exitOf(error);
  }
}

async function run(args: readonly string[]): Promise<number> {
  const { flags: leading, rest } = splitLeadingFlags(args);
  const helped = rest[0] === 'help';
  const words = helped ? rest.slice(1) : rest;
  const entry = findCommand(words);
  if (!entry) return top({ words, helped, leading });
  const command = await entry.load();
  if (helped) {
    print(commandHelp(entry, command));
    return EXIT.ok;
  }
  // flags may stand before the command too; those after it win
  const own = words.slice(entry.name.split(' ').length);
  const { flags, positionals } = readArguments(entry.name, command, [...leading, ...own]);
  if (flags.help) print(commandHelp(entry, command));
  else if (flags.version) printVersion(flags.json === true);
  else return command.run({ flags, positionals, env: process.env, cwd: process.cwd() });
  return EXIT.ok;
}

function printVersion(json: boolean): void {
  if (json) printJson({ version: VERSION, node: process.versions.node });
  else print(VERSION);
}

interface NoCommand {
  readonly words: readonly string[];
  /** Whether the words follow `help`. */
  readonly helped: boolean;
  /** The flags before the words. */
  readonly leading: readonly string[];
}

/** Prints help or the version if the words name no command. Throws UsageError if they should name one. */
function top({ words, helped, leading }: NoCommand): number {
  const [first] = words;
  const flags = [...leading, ...words];
  const family = first === undefined ? [] : familyOf(first);
  if (helped || words[1] === 'help' || flags.includes('--help') || flags.includes('-h')) {
    print(family.length > 0 ? familyHelp(family) : topHelp());
    return EXIT.ok;
  }
  if (flags.includes('--version') || flags.includes('-v')) {
    printVersion(flags.includes('--json'));
    return EXIT.ok;
  }
  const stray = leading.find((flag) => flag.startsWith('-') && !isCommonFlag(flag));
  if (stray !== undefined)
    throw new UsageError(
      `${JSON.stringify(stray)} is no option of every command; put it behind the command that it is for.`,
    );
  if (first === undefined) throw new UsageError(`say what to do.\n\n${topHelp()}`);
  const meant = meantCommand(words);
  const hint = meant === undefined ? '' : ` Did you mean \`${program()} ${meant}\`?`;
  if (family.length > 0) {
    const names = family.map(({ name }) => `\`${name}\``).join(' or ');
    throw new UsageError(`after \`${first}\` another word is needed: ${names}.${hint}`);
  }
  if (hint !== '') throw new UsageError(`there is no command ${JSON.stringify(first)}.${hint}`);
  const all = COMMANDS.map(({ name }) => name).join(', ');
  throw new UsageError(`there is no command ${JSON.stringify(first)}; there are ${all}.`);
}
