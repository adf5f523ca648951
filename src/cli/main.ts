// From words to a command: the table of commands, help, and how each failure ends.
import { EXIT, exitOf, explain, UsageError } from './exit-codes.ts';
import { type Command, COMMON_HELP, readArguments } from './options.ts';
import { print, printJson, say } from './output.ts';
import { VERSION } from './version.ts';

/** Each command is loaded when it is called: help and version load nothing. */
const COMMANDS: readonly { name: string; summary: string; load: () => Promise<Command> }[] = [
  { name: 'serve', summary: 'run the gateway over HTTP', load: async () => (await import('./serve.ts')).serve },
  {
    name: 'stdio',
    summary: 'run as one MCP server over stdin and stdout, for a client to start',
    load: async () => (await import('./stdio.ts')).stdio,
  },
  {
    name: 'config validate',
    summary: 'check the configuration without connecting anything',
    load: async () => (await import('./config.ts')).configValidate,
  },
  {
    name: 'config schema',
    summary: 'print the JSON Schema of the configuration',
    load: async () => (await import('./config.ts')).configSchema,
  },
  {
    name: 'servers',
    summary: 'show the servers and how they are',
    load: async () => (await import('./servers.ts')).servers,
  },
  {
    name: 'tools list',
    summary: 'list the tools that are offered',
    load: async () => (await import('./tools.ts')).toolsList,
  },
  { name: 'tools call', summary: 'call a tool', load: async () => (await import('./tools.ts')).toolsCall },
  {
    name: 'audit query',
    summary: 'ask the log who called what',
    load: async () => (await import('./audit.ts')).auditQuery,
  },
  {
    name: 'audit verify',
    summary: 'check that the log is complete and unchanged',
    load: async () => (await import('./audit.ts')).auditVerify,
  },
];

/** Runs the command that the arguments name and sets the exit status. */
export async function main(args: readonly string[]): Promise<void> {
  // a reader that has gone (`| head`) is no failure, and there is nobody left to tell
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.internal),
  );
  try {
    process.exitCode = await run(args);
  } catch (error) {
    say(`mcp-gateway: ${explain(error)}`);
    process.exitCode = exitOf(error);
  }
}

async function run(args: readonly string[]): Promise<number> {
  const [first = '', second = ''] = args;
  const entry =
    COMMANDS.find(({ name }) => name === `${first} ${second}`) ?? COMMANDS.find(({ name }) => name === first);
  if (!entry) return top(args);
  const command = await entry.load();
  const { flags, positionals } = readArguments(command, args.slice(entry.name.split(' ').length));
  if (flags.help) {
    print(helpOf(command));
    return EXIT.ok;
  }
  return command.run({ flags, positionals, env: process.env, cwd: process.cwd() });
}

function top(args: readonly string[]): number {
  if (args.includes('--version')) {
    if (args.includes('--json')) printJson({ version: VERSION, node: process.versions.node });
    else print(VERSION);
    return EXIT.ok;
  }
  const [first] = args;
  if (args.includes('--help') || args.includes('-h') || first === 'help') {
    print(topHelp());
    return EXIT.ok;
  }
  if (first === undefined) throw new UsageError(`say what to do.\n\n${topHelp()}`);
  const family = COMMANDS.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => `\`${name}\``);
  if (family.length > 0) throw new UsageError(`\`${first}\` is ${family.join(' or ')}.`);
  throw new UsageError(`there is no command ${JSON.stringify(first)}. See \`mcp-gateway --help\`.`);
}

function topHelp(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    `mcp-gateway ${VERSION}: many MCP servers behind one endpoint, every call recorded`,
    '',
    'Usage: mcp-gateway COMMAND [options]',
    '',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'On every command:',
    ...flagLines(COMMON_HELP),
    '',
    'Exit status: 0 ok, 1 internal, 2 usage, 3 authentication, 4 unreachable or timed out, 5 tool failed, 6 denied, 7 quota,',
    '             8 configuration or state, 9 not found, 10 a check found something, 130 and 143 ended by a signal.',
  ].join('\n');
}

function helpOf(command: Command): string {
  return [
    `mcp-gateway ${command.name}: ${command.summary}`,
    '',
    `Usage: mcp-gateway ${command.name} ${command.usage}`.trimEnd(),
    '',
    ...flagLines([...command.help, ...COMMON_HELP]),
    ...(command.examples.length > 0 ? ['', 'Examples:', ...command.examples.map((example) => `  ${example}`)] : []),
  ].join('\n');
}

function flagLines(help: Command['help']): string[] {
  const width = Math.max(...help.map(([flag]) => flag.length));
  return help.map(([flag, words]) => `  ${flag.padEnd(width)}  ${words}`.trimEnd());
}
