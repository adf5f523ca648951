// The table of commands: name, summary, and how to load the code.
import { nearest } from '../config/problems.ts';
import type { Command } from './options.ts';

export interface Entry {
  /** The words after the program: `audit query`. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Loads the command when it is called, so that help and version load none. */
  readonly load: () => Promise<Command>;
}

export const COMMANDS: readonly Entry[] = [
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

/** The command that the words begin with. */
export function findCommand([first = '', second = '']: readonly string[]): Entry | undefined {
  return COMMANDS.find(({ name }) => name === `${first} ${second}`) ?? COMMANDS.find(({ name }) => name === first);
}

/** The commands of a family such as `audit`. */
export function familyOf(word: string): readonly Entry[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${word} `));
}

/** The command that the user probably meant: one that begins with the words, one with a similar name, or one that ends with the word. */
export function meantCommand([first = '', second = '']: readonly string[]): string | undefined {
  const names = COMMANDS.map(({ name }) => name);
  const begun = names.find((name) => name.startsWith(`${first} ${second}`.trim()));
  const ends = names.filter((name) => name.endsWith(` ${first}`));
  return begun ?? nearest(`${first} ${second}`.trim(), names) ?? nearest(first, names) ?? ends[0];
}
