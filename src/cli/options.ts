// The flags of the command line: those of every command, and how a command declares its own.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { didYouMean } from '../config/problems.ts';
import { UsageError } from './exit-codes.ts';
import { program } from './program.ts';

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

const COMMON = {
  config: { type: 'string' },
  state: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  'log-level': { type: 'string' },
} as const satisfies OptionsConfig;

type CommonFlags = {
  readonly [Name in keyof typeof COMMON]?:
    ((typeof COMMON)[Name]['type'] extends 'string' ? string : boolean) | undefined;
};

/** Flags by name; a repeated flag keeps its last value. */
export type Flags = CommonFlags & Readonly<Record<string, string | boolean | undefined>>;

export interface Arguments {
  readonly flags: Flags;
  readonly positionals: readonly string[];
}

/** Ways to name this program. */
export interface Program {
  readonly typed: string;
  readonly absolute: string;
}

/** The arguments of a command, with the environment and working directory of its process. */
export interface Invocation extends Arguments {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** Lines of help: a flag, and what it does. */
export type Help = readonly (readonly [flag: string, text: string])[];

export interface Command {
  /** The usage line after the name. */
  readonly usage?: string;
  /** Its own flags, and lines of help about them. */
  readonly options?: OptionsConfig;
  readonly help?: Help;
  /** Example command lines, for a person to type or for another program to run from any folder. */
  readonly examples: (program: Program) => readonly string[];
  /** How many positionals the command accepts; none where it does not say. */
  readonly positionals?: number;
  run(invocation: Invocation): Promise<number>;
}

export const COMMON_HELP: Help = [
  ['--config FILE', 'configuration (else MCP_GATEWAY_CONFIG, ./mcp-gateway.json, the user folder)'],
  ['--state DIR', 'state directory (else MCP_GATEWAY_STATE, .mcp-gateway/ beside the configuration)'],
  ['--json', 'data as JSON'],
  ['--log-level LEVEL', 'trace, debug, info, warn, error or silent'],
  ['-h, --help', 'say how the command is used'],
  ['-v, --version', 'print the version'],
];

/** Whether a word is a flag of every command. */
export function isCommonFlag(word: string): boolean {
  const [name] = word.split('=', 1);
  return Object.entries(COMMON).some(
    ([long, option]) => name === `--${long}` || ('short' in option && name === `-${option.short}`),
  );
}

/** Splits off the flags before the command, each common flag with its value. */
export function splitLeadingFlags(args: readonly string[]): { flags: readonly string[]; rest: readonly string[] } {
  let count = 0;
  for (let next = args[count]; next?.startsWith('-'); next = args[count]) {
    const common = Object.entries(COMMON).find(([name]) => next === `--${name}`);
    count += common?.[1].type === 'string' ? 2 : 1;
  }
  return { flags: args.slice(0, count), rest: args.slice(count) };
}

/** Reads the flags and arguments of a command. Throws UsageError. */
export function readArguments(name: string, command: Command, args: readonly string[]): Arguments {
  const options: OptionsConfig = { ...COMMON, ...command.options };
  // not strict, because the parser's own errors are for programmers; `checkFlag` checks every token
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) if (token.kind === 'option') checkFlag(token, name, options);
  const extra = positionals[command.positionals ?? 0];
  if (extra !== undefined && values.help !== true)
    throw new UsageError(`\`${name}\` takes no argument ${JSON.stringify(extra)}. ${seeHelp(name)}`);
  return { flags: values, positionals };
}

interface FlagToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function checkFlag(token: FlagToken, command: string, options: OptionsConfig): void {
  const { name, rawName, value, inlineValue } = token;
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (!option) {
    const hint = didYouMean(
      rawName,
      Object.keys(options).map((known) => `--${known}`),
    );
    throw new UsageError(
      `\`${command}\` has no option ${JSON.stringify(rawName)}${hint === '' ? '.' : hint} ${seeHelp(command)}`,
    );
  }
  if (option.type === 'boolean' && value !== undefined) throw new UsageError(`${rawName} takes no value.`);
  if (option.type !== 'string') return;
  if (value === undefined) throw new UsageError(`${rawName} needs a value. ${seeHelp(command)}`);
  if (value.startsWith('-') && inlineValue !== true)
    throw new UsageError(`${rawName} needs a value; one that begins with a dash is written ${rawName}=${value}.`);
}

function seeHelp(command: string): string {
  return `See \`${program()} ${command} --help\`.`;
}

/** The value of a text flag. */
export function text(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

/** The value of a flag that is a whole number within bounds. Throws UsageError. */
export function integer(flags: Flags, name: string, bounds: { min: number; max: number }): number | undefined {
  const value = text(flags, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() === '' || !Number.isInteger(number) || number < bounds.min || number > bounds.max) {
    throw new UsageError(
      `--${name} takes a whole number from ${bounds.min} to ${bounds.max}, not ${JSON.stringify(value)}.`,
    );
  }
  return number;
}

/** The value of a flag that is one of some words. Throws UsageError. */
export function choice<T extends string>(flags: Flags, name: string, words: readonly T[]): T | undefined {
  const value = text(flags, name);
  const word = words.find((one) => one === value);
  if (value !== undefined && word === undefined)
    throw new UsageError(`--${name} is one of ${words.join(', ')}, not ${JSON.stringify(value)}.`);
  return word;
}
