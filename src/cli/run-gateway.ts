// Runs a gateway inside this process: loads its configuration, opens its log, and stops it in order with its control socket and reloader.
import type { Config } from '../config/config.ts';
import { ConfigFolders } from '../config/folders.ts';
import { loadFrom } from '../config/load.ts';
import { locateConfig } from '../config/locate.ts';
import { formatProblem } from '../config/problems.ts';
import { openControl } from '../downstream/control.ts';
import { endpointLimits } from '../downstream/mcp/limits.ts';
import { Gateway } from '../gateway/gateway.ts';
import { Reloader } from '../gateway/reload.ts';
import type { Watcher } from '../gateway/watcher.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import { type LogForm, type Logger, type LogLevelName, openLogger } from '../telemetry/logger.ts';
import { EXIT, ExitError, UsageError } from './exit-codes.ts';
import type { Invocation } from './options.ts';
import { say } from './output.ts';
import { IDENTITY, VERSION } from './version.ts';

const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** A loaded configuration, and the folders that it comes from, which the gateway closes when it stops. */
interface Loaded {
  readonly config: Config;
  readonly folders: ConfigFolders;
  readonly warnings: readonly string[];
}

export interface RunOptions extends Loaded {
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly override?: (config: Config) => Config;
  /** Where it will be bound; undefined if it listens on its control socket only. */
  readonly bound?: Config['listen'];
  readonly watcher?: Watcher | undefined;
}

export type RunningGateway = Awaited<ReturnType<typeof runGateway>>;

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

/**
 * Starts the gateway of a command that found no owner, and its servers. The gateway listens on its control socket only. Throws StateError if
 * another process owns the directory.
 */
export async function becomeOwner(invocation: Invocation, stateDirectory: string): Promise<RunningGateway> {
  const logger = await openLog(invocation, 'warn', 'text'); // a person reads it on the terminal
  const loaded = loadOrExit(invocation, stateDirectory);
  const running = await runGateway({ ...loaded, logger, env: invocation.env, stateDirectory });
  running.announce('stdio');
  running.gateway.start();
  return running;
}

/** Takes the lock of the state directory and opens the gateway; the caller starts its servers once it listens. Throws StateError. */
export async function runGateway(options: RunOptions) {
  const { config, folders, logger, env, stateDirectory, watcher, override = (same) => same, bound } = options;
  const limits = endpointLimits();
  let opened: Gateway | undefined;
  try {
    const gateway = await Gateway.open({ config, stateDirectory, logger, env, identity: IDENTITY, watcher });
    opened = gateway;
    const control = await openControl(gateway, { path: controlSocketPath(stateDirectory), limits });
    for (const warning of options.warnings) logger.warn(warning);
    const reloader = new Reloader({ gateway, folders, env, override, bound });
    const drain = async () => {
      control.stop();
      await gateway.drain();
    };
    return {
      gateway,
      /** Shared by all fronts of the gateway. */
      limits,
      /** Resolves when the gateway has lost its state directory, and has to stop. */
      lost: gateway.stateDirectory.lost,
      /** Writes the gateway's URL to `run.json`, for processes that find the state directory in use. */
      announce: (url: string) =>
        gateway.stateDirectory.writeRunInfo({ pid: process.pid, url, version: VERSION, config: config.file }),
      reload: () => reloader.now(),
      /** Accepts no new calls and no new relays; resolves when the calls in flight have ended, or their time is over. */
      drain,
      stop: async () => {
        await reloader.close();
        await drain();
        await control.close();
        await gateway.stop();
      },
    };
  } catch (error) {
    await opened?.stop();
    folders.close();
    throw error;
  }
}
