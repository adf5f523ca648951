// Runs a gateway inside a command that found no owner of the state directory.
import type { Invocation } from './options.ts';
import { runGateway, type RunningGateway } from './run-gateway.ts';
import { loadOrExit, openLog } from './setup.ts';

/** Starts the gateway, which listens on its control socket only, and its servers. Throws StateError if another process owns the directory. */
export async function becomeOwner(invocation: Invocation, stateDirectory: string): Promise<RunningGateway> {
  const logger = await openLog(invocation, 'warn', 'text'); // a person reads it on the terminal
  const loaded = loadOrExit(invocation, stateDirectory);
  const running = await runGateway({ ...loaded, logger, env: invocation.env, stateDirectory });
  running.announce('stdio');
  running.gateway.start();
  return running;
}
