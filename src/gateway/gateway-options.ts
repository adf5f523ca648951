// The options of a gateway.
import type { Config } from '../config/config.ts';
import type { Peer } from '../core/call.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Watcher } from './watcher.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** The name and version that servers and clients see. */
  readonly identity: Peer;
  readonly watcher?: Watcher | undefined;
}
