// A gateway with a server whose resources and tools change, and crowds that must hear of all of it.
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { type GatewayProcess, startGateway } from './gateway.ts';
import { type Listener, openListeners, untilListed, updatesOf } from './listeners.ts';
import { startServer } from './servers.ts';
import { callText } from './scripted.ts';

/** Distinct resources of one round of updates. */
const ROUND = 20;
const URIS = Array.from({ length: ROUND }, (_, index) => `web://item/${index + 1}`);

export interface Audience {
  readonly gateway: GatewayProcess;
  stop(): Promise<void>;
}

/** Starts both; there is room for as many sessions as the tests open. */
export async function startAudience(env: Record<string, string> = {}): Promise<Audience> {
  const web = await startServer('sdk-server.ts', '--era', 'modern', '--scheme', 'web', '--keep-alive', '65000');
  const gateway = await startGateway({
    config: { mcpServers: { web: { url: web.url } }, limits: { sessions: 10_000 } },
    args: ['--log-level', 'warn'],
    env,
  });
  await gateway.attempted();
  return {
    gateway,
    stop: async () => {
      await gateway.stop();
      await web.stop();
    },
  };
}

export interface News {
  readonly listeners: number;
  /** How often each of the twenty resources is updated. */
  readonly rounds: number;
  /** Milliseconds from one update to the next. */
  readonly everyMs: number;
}

/** Half of the listeners are modern, half legacy; fails where one misses an update, hears one twice, or ends on an old list. */
export async function tellListeners({ gateway }: Audience, { listeners, rounds, everyMs }: News): Promise<void> {
  const half = { count: listeners / 2, uris: URIS };
  const all: Listener[] = [
    ...(await openListeners(gateway, { kind: 'modern', ...half })),
    ...(await openListeners(gateway, { kind: 'legacy', ...half })),
  ];
  const heard = all.map((listener) => updatesOf(listener, rounds * ROUND));
  for (let round = 0; round < rounds; round++)
    for (const uri of URIS) {
      await callText(gateway.url, 'web__touch', { uri });
      if (everyMs > 0) await delay(everyMs);
    }
  const wanted = Object.fromEntries(URIS.map((uri) => [uri, rounds]));
  for (const updates of await Promise.all(heard)) expect(Object.fromEntries(updates)).toEqual(wanted);

  const last = `last_${listeners}`;
  const told = all.map((listener) => untilListed(listener, `web__${last}`));
  const names = [...Array.from({ length: 9 }, (_, index) => `before_${listeners}_${index}`), last];
  for (const name of names) await callText(gateway.url, 'web__add_tool', { name });
  for (const times of await Promise.all(told)) expect(times).toBeLessThanOrEqual(names.length);
  await Promise.all(all.map((listener) => listener.leave()));
}
