// The flags of the command line: those that every command has, and how a command declares its own.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './exit-codes.ts';

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

const COMMON = {
  config: { type: 'string' },
  state: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  'log-level': { type: 'string' },
} as const satisfies OptionsConfig;

export interface CommonFlags {
  readonly config?: string | undefined;
  readonly state?: string | undefined;
  readonly json?: boolean | undefined;
  readonly help?: boolean | undefined;
  readonly version?: boolean | undefined;
  readonly 'log-level'?: string | undefined;
}

/** Flags by name; a repeated flag keeps its last value. */
export type Flags = CommonFlags & Readonly<Record<string, string | boolean | undefined>>;

export interface Arguments {
  readonly flags: Flags;
  readonly positionals: readonly string[];
}

/** Environment and folder of the process: read here, handed down everywhere else. */
export interface Invocation extends Arguments {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface Command {
  /** As it is typed, without the program: `audit query`. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** After the name in the usage line. */
  readonly usage: string;
  readonly options: OptionsConfig;
  /** Lines of help about its flags. */
  readonly help: readonly (readonly [flag: string, text: string])[];
  readonly examples: readonly string[];
  /** Most positionals that it takes. */
  readonly positionals: number;
  run(invocation: Invocation): Promise<number>;
}

export const COMMON_HELP: Command['help'] = [
  ['--config FILE', 'configuration (else MCP_GATEWAY_CONFIG, ./mcp-gateway.json, the user folder)'],
  ['--state DIR', 'state directory (else MCP_GATEWAY_STATE, .mcp-gateway/ beside the configuration)'],
  ['--json', 'data as JSON'],
  ['--log-level LEVEL', 'trace, debug, info, warn, error or silent'],
  ['--version, -h, --help', ''],
];

/** Reads what stands behind a command's name. Throws UsageError or the parser's own error. */
export function readArguments(command: Command, args: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...COMMON, ...command.options },
    allowPositionals: true,
  });
  if (positionals.length > command.positionals && !values.help) {
    throw new UsageError(
      `\`${command.name}\` takes no argument ${JSON.stringify(positionals[command.positionals])}. See \`mcp-gateway ${command.name} --help\`.`,
    );
  }
  return { flags: values, positionals };
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
