// Becoming the owner of a state directory without listening on an address, for commands that find no gateway.
import type { Invocation } from './options.ts';
import { runGateway, type RunningGateway } from './run-gateway.ts';
import { loadOrExit, openLog } from './setup.ts';

/** Starts a gateway that listens on its control socket alone, and its servers. Throws StateError where another one owns the directory. */
export async function becomeOwner(invocation: Invocation, stateDirectory: string): Promise<RunningGateway> {
  const logger = await openLog(invocation, 'warn', 'text'); // the person who typed the command reads it
  const loaded = loadOrExit(invocation, stateDirectory);
  const running = await runGateway({ ...loaded, logger, env: invocation.env, stateDirectory });
  running.announce('stdio');
  running.gateway.start();
  return running;
}
