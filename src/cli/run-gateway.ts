// Runs a gateway inside this process, with its control socket and its reloader, and stops all of them in order.
import type { Config } from '../config/config.ts';
import type { ConfigFolders } from '../config/folders.ts';
import { type Control, openControl } from '../downstream/control.ts';
import { type EndpointLimits, endpointLimits } from '../downstream/mcp/limits.ts';
import { Gateway } from '../gateway/gateway.ts';
import { Reloader } from '../gateway/reload.ts';
import type { Watcher } from '../gateway/watcher.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import type { StateError } from '../storage/state-error.ts';
import type { Logger } from '../telemetry/logger.ts';
import { IDENTITY, VERSION } from './version.ts';

export interface RunOptions {
  readonly config: Config;
  /** The folders of the configuration, which the gateway closes when it stops. */
  readonly folders: ConfigFolders;
  readonly warnings: readonly string[];
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly override?: (config: Config) => Config;
  /** Where it will be bound; undefined if it listens on its control socket only. */
  readonly bound?: Config['listen'];
  readonly watcher?: Watcher | undefined;
}

export interface RunningGateway {
  readonly gateway: Gateway;
  /** Shared by all fronts of the gateway. */
  readonly limits: EndpointLimits;
  /** Resolves when the gateway has lost its state directory, and has to stop. */
  readonly lost: Promise<StateError>;
  /** Writes the gateway's URL to `run.json`, for processes that find the state directory in use. */
  announce(url: string): void;
  reload(): Promise<void>;
  /** Accepts no new calls and no new relays; resolves when the calls in flight have ended, or their time is over. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Takes the lock of the state directory and opens the gateway; the caller starts its servers once it listens. Throws StateError. */
export async function runGateway(options: RunOptions): Promise<RunningGateway> {
  try {
    return await openGateway(options);
  } catch (error) {
    options.folders.close();
    throw error;
  }
}

async function openGateway(options: RunOptions): Promise<RunningGateway> {
  const { config, folders, logger, env, stateDirectory, watcher } = options;
  const gateway = await Gateway.open({ config, stateDirectory, logger, env, identity: IDENTITY, watcher });
  const limits = endpointLimits();
  let control: Control;
  try {
    control = await openControl(gateway, { path: controlSocketPath(stateDirectory), limits });
  } catch (error) {
    await gateway.stop();
    throw error;
  }
  for (const warning of options.warnings) logger.warn(warning);
  const reloader = new Reloader({
    gateway,
    folders,
    env,
    override: options.override ?? ((same) => same),
    bound: options.bound,
  });
  const drain = async () => {
    control.stop();
    await gateway.drain();
  };
  return {
    gateway,
    limits,
    lost: gateway.stateDirectory.lost,
    announce: (url) =>
      gateway.stateDirectory.writeRunInfo({ pid: process.pid, url, version: VERSION, config: config.file }),
    reload: () => reloader.now(),
    drain,
    stop: async () => {
      await reloader.close();
      await drain();
      await control.close();
      await gateway.stop();
    },
  };
}
