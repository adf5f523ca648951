// Help about commands, on the terminal and as the reference page, made of the same texts.
import { COMMANDS, type Entry } from './commands.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';
import { type Command, COMMON_HELP } from './options.ts';
import { absoluteProgram, program, REFERENCE_PROGRAM } from './program.ts';
import { VERSION } from './version.ts';

/** Help about the program. */
export function topHelp(): string {
  return [
    `mcp-gateway ${VERSION}: many MCP servers behind one endpoint, every call recorded`,
    '',
    `Usage: ${program()} COMMAND [options]`,
    '',
    ...pairs(COMMANDS.map(({ name, summary }) => [name, summary])),
    '',
    'On every command:',
    ...pairs(COMMON_HELP),
    '',
    'Exit status:',
    ...pairs(EXIT_MEANINGS.map(([status, meaning]) => [String(status), meaning])),
  ].join('\n');
}

/** Help about the commands of a family such as `audit`. */
export function familyHelp(family: readonly Entry[]): string {
  return pairs(family.map(({ name, summary }) => [`${program()} ${name}`, summary])).join('\n');
}

/** Help about one command. */
export function commandHelp({ name, summary }: Entry, command: Command): string {
  return [
    `mcp-gateway ${name}: ${summary}`,
    '',
    usageOf(program(), name, command),
    '',
    ...(command.help.length > 0 ? ['Options:', ...pairs(command.help), ''] : []),
    'On every command:',
    ...pairs(COMMON_HELP),
    '',
    'Examples:',
    ...command.examples({ typed: program(), absolute: absoluteProgram() }).map((example) => `  ${example}`),
  ].join('\n');
}

/** The reference page of the command line, in Markdown. */
export async function commandReference(): Promise<string> {
  const commands = await Promise.all(COMMANDS.map(async (entry) => ({ entry, command: await entry.load() })));
  return [
    '# Command line',
    '',
    '<!-- Generated from src/cli by `npm run generate`; change the commands, not this page. -->',
    '',
    'In a clone, write `npx mcp-gateway` for `mcp-gateway`, or `node dist/cli/bin.js` where `node` is 22.19 or newer.',
    '',
    'Data goes to stdout, words go to stderr. `--json` prints data as one JSON document; times in it are UTC.',
    '',
    ...commands.flatMap(({ entry, command }) => commandSection(entry, command)),
    '## Options of every command',
    '',
    ...optionList(COMMON_HELP),
    '',
    '## Exit status',
    '',
    ...EXIT_MEANINGS.map(([status, meaning]) => `- \`${status}\` ${meaning}`),
    '',
  ].join('\n');
}

function commandSection({ name, summary }: Entry, command: Command): string[] {
  return [
    `## ${name}`,
    '',
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    '',
    '```text',
    usageOf(REFERENCE_PROGRAM.typed, name, command),
    '```',
    '',
    ...(command.help.length > 0 ? [...optionList(command.help), ''] : []),
    'For example:',
    '',
    '```text',
    ...command.examples(REFERENCE_PROGRAM),
    '```',
    '',
  ];
}

function usageOf(called: string, name: string, { usage }: Command): string {
  return `Usage: ${called} ${name} ${usage}`.trimEnd();
}

function optionList(help: Command['help']): string[] {
  return help.map(([flag, words]) => `- \`${flag}\` ${words}`);
}

function pairs(rows: Command['help']): string[] {
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows.map(([key, words]) => `  ${key.padEnd(width)}  ${words}`.trimEnd());
}
