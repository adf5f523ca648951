// Loads the configuration and opens the log, for commands that run a gateway.
import type { Config } from '../config/config.ts';
import { ConfigFolders } from '../config/folders.ts';
import { loadFrom } from '../config/load.ts';
import { locateConfig } from '../config/locate.ts';
import { formatProblem } from '../config/problems.ts';
import { type LogForm, type Logger, type LogLevelName, openLogger } from '../telemetry/logger.ts';
import { EXIT, ExitError, UsageError } from './exit-codes.ts';
import type { Invocation } from './options.ts';
import { say } from './output.ts';

const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** A loaded configuration, and the folders that it comes from. */
export interface Loaded {
  readonly config: Config;
  readonly folders: ConfigFolders;
  readonly warnings: readonly string[];
}

/** Loads the configuration. If it is not valid, prints its problems and throws ExitError. */
export function loadOrExit({ flags, env, cwd }: Invocation, state: string): Loaded {
  const file = locateConfig({ flag: flags.config, env, cwd });
  const folders = new ConfigFolders(file);
  const loaded = loadFrom(folders, { env, state });
  if (!loaded.ok) {
    folders.close();
    for (const problem of loaded.problems) say(formatProblem(problem));
    throw new ExitError(EXIT.configuration, `${file} is not a valid configuration; mend what is listed above.`);
  }
  return { config: loaded.config, folders, warnings: loaded.warnings.map(formatProblem) };
}

/** Opens the program's log at the level of `--log-level` or MCP_GATEWAY_LOG_LEVEL. Throws UsageError. */
export function openLog({ flags, env }: Invocation, fallback: LogLevelName, form: LogForm): Promise<Logger> {
  const level = flags['log-level'] ?? env.MCP_GATEWAY_LOG_LEVEL ?? fallback;
  if (!LEVELS.includes(level))
    throw new UsageError(`the log level is one of ${LEVELS.join(', ')}, not ${JSON.stringify(level)}.`);
  return openLogger(level as LogLevelName, form);
}
