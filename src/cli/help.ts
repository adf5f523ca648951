// Help about commands, for the terminal; the reference page is made of the same texts.
import { COMMANDS, type Entry } from './commands.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';
import { type Command, COMMON_HELP, type Help } from './options.ts';
import { absoluteProgram, program } from './program.ts';
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
    ...(command.help ? ['Options:', ...pairs(command.help), ''] : []),
    'On every command:',
    ...pairs(COMMON_HELP),
    '',
    'Examples:',
    ...command.examples({ typed: program(), absolute: absoluteProgram() }).map((example) => `  ${example}`),
  ].join('\n');
}

/** How a command is called, on one line. */
export function usageOf(called: string, name: string, { usage = '' }: Command): string {
  return `Usage: ${called} ${name} ${usage}`.trimEnd();
}

function pairs(rows: Help): string[] {
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows.map(([key, words]) => `  ${key.padEnd(width)}  ${words}`.trimEnd());
}
