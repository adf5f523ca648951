// What a running gateway says about its servers, asked where the command line asks.
import { setTimeout } from 'node:timers/promises';
import type { ServerStatus } from '../../../src/upstream/mcp/status.ts';
import { askControl, type Workspace } from './gateway.ts';

/** Whoever owns a state directory. */
type Owner = Pick<Workspace, 'state'>;

/** The state of every server. */
export async function statusesOf(gateway: Owner): Promise<ServerStatus[]> {
  return ((await askControl(gateway.state, '/api/servers')) as { servers: ServerStatus[] }).servers;
}

/** The state of one server. */
export async function statusOf(gateway: Owner, name: string): Promise<ServerStatus> {
  const status = (await statusesOf(gateway)).find((server) => server.name === name);
  if (!status) throw new Error(`there is no server ${name}`);
  return status;
}

const PATIENCE_MS = 20_000;

/** A breath between questions: a gateway that is asked without a pause has no core for what is waited for. */
const PAUSE_MS = 5;

/** Asks until the answer is as wanted. */
export async function until<T>(question: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  const limit = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await question();
    if (wanted(value)) return value;
    if (performance.now() > limit) throw new Error(`it stayed ${JSON.stringify(value)}`);
    await setTimeout(PAUSE_MS);
  }
}

/** The state of one server, as soon as it is as wanted. */
export function statusUntil(
  gateway: Owner,
  name: string,
  wanted: (status: ServerStatus) => boolean,
): Promise<ServerStatus> {
  return until(() => statusOf(gateway, name), wanted);
}
