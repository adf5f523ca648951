// A gateway inside this process: state, control socket and reloading around it, and one way to end it all.
import type { Config } from '../config/config.ts';
import type { ConfigFolders } from '../config/folders.ts';
import { type Control, openControl } from '../downstream/control.ts';
import { Gateway } from '../gateway/gateway.ts';
import { Reloader } from '../gateway/reload.ts';
import type { Watcher } from '../gateway/watcher.ts';
import { controlSocketPath } from '../storage/control-socket.ts';
import type { StateError } from '../storage/state-error.ts';
import type { Logger } from '../telemetry/logger.ts';
import { IDENTITY, VERSION } from './version.ts';

export interface RunOptions {
  readonly config: Config;
  /** What it was read from, which the gateway closes in the end. */
  readonly folders: ConfigFolders;
  readonly warnings: readonly string[];
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly override?: (config: Config) => Config;
  /** Where it will be bound; absent where it listens on its control socket alone. */
  readonly bound?: Config['listen'];
  readonly watcher?: Watcher | undefined;
}

export interface RunningGateway {
  readonly gateway: Gateway;
  /** Resolves when the state directory is not its own any more: it has to end. */
  readonly lost: Promise<StateError>;
  /** Publishes where the gateway is reached, for whoever finds the state directory taken. */
  announce(url: string): void;
  reload(): Promise<void>;
  /** Takes no new calls and nobody new; resolves when those in flight have ended, or after 10 s. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Takes the state directory and opens the gateway; its servers are started by the caller once it listens. Throws StateError. */
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
  let control: Control;
  try {
    control = await openControl(gateway, controlSocketPath(stateDirectory));
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
