// The reference page of the command line, in Markdown.
import { COMMANDS, type Entry } from '../../src/cli/commands.ts';
import { EXIT_MEANINGS } from '../../src/cli/exit-codes.ts';
import { usageOf } from '../../src/cli/help.ts';
import { type Command, COMMON_HELP, type Help, type Program } from '../../src/cli/options.ts';

/** This program in the examples of the page. */
const REFERENCE_PROGRAM: Program = {
  typed: 'mcp-gateway',
  absolute: '/path/to/node /path/to/mcp-gateway/dist/cli/bin.js',
};

/** One section a command, then what is common to all. */
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
    ...(command.help ? [...optionList(command.help), ''] : []),
    'For example:',
    '',
    '```text',
    ...command.examples(REFERENCE_PROGRAM),
    '```',
    '',
  ];
}

function optionList(help: Help): string[] {
  return help.map(([flag, words]) => `- \`${flag}\` ${words}`);
}
