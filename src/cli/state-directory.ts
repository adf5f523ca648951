// Finds the state directory, for every command.
import { resolve } from 'node:path';
import { locateConfig, stateBeside } from '../config/locate.ts';
import type { Invocation } from './options.ts';

/** The state directory: flag, environment, or `.mcp-gateway` beside the configuration. */
export function stateDirectoryOf({ flags, env, cwd }: Invocation): string {
  const named = flags.state ?? env.MCP_GATEWAY_STATE;
  if (named !== undefined && named !== '') return resolve(cwd, named);
  return stateBeside(locateConfig({ flag: flags.config, env, cwd }));
}
