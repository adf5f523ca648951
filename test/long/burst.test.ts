// What is left of a burst of clients when all of them have gone: no process, and no memory.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fixture, startGateway } from '../integration/harness/gateway.ts';
import { kept } from '../integration/harness/kept.ts';
import { modern, resultOf, send } from '../integration/harness/raw.ts';
import { SessionClient } from '../integration/harness/session-client.ts';
import { statusOf } from '../integration/harness/status.ts';
import { descendants } from '../upstream/mcp/processes.ts';

const CLIENTS = 10;
const tokens = Array.from({ length: CLIENTS }, (_, n) => ({
  id: `user${n}`,
  token: `token-of-user-${n}-0123456789-abcdefghij`,
}));

/** The memory of a process and all that it started, in KiB, each page once. */
function memoryOf(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => sum + pssOf(each), 0);
}

function pssOf(pid: number): number {
  if (!readdirSync('/proc').includes(`${pid}`)) return 0;
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it ended in between
  }
}

test.skipIf(process.platform !== 'linux')(
  'two minutes after 20 clients left, the gateway and its servers take what they took before them',
  async () => {
    const gateway = await kept(
      startGateway({
        config: { auth: { tokens }, mcpServers: { s: { ...fixture('private-stdio.ts'), isolation: 'session' } } },
      }),
    );
    await gateway.attempted();
    const pid = gateway.process.pid ?? 0;
    const meta = { 'io.modelcontextprotocol/clientCapabilities': {} };
    const burst = async () => {
      const sessions = await Promise.all(tokens.map(({ token }) => SessionClient.open(gateway.origin, { token })));
      await Promise.all(sessions.map((session) => session.call('s__ask', { label: 'x' })));
      await Promise.all(
        tokens.map(async ({ token }) =>
          resultOf(
            await send(
              gateway.origin,
              modern(
                'tools/call',
                { name: 's__facts', arguments: {} },
                { meta, headers: { Authorization: `Bearer ${token}` } },
              ),
            ),
          ),
        ),
      );
      return sessions;
    };
    await delay(5_000);
    const before = memoryOf(pid);
    const sessions = await burst();
    const during = memoryOf(pid);
    const owners = (await statusOf(gateway, 's')).instances.filter(({ owner }) => owner !== undefined);
    expect(owners).toHaveLength(2 * CLIENTS);
    await Promise.all(sessions.map((session) => session.end()));

    await delay(120_000);

    const after = memoryOf(pid);
    const status = await statusOf(gateway, 's');
    expect(status.instances.filter(({ owner }) => owner !== undefined)).toEqual([]);
    expect(status.pool.spares).toBe(0);
    expect(during).toBeGreaterThan(2 * before);
    expect(after / before).toBeLessThanOrEqual(1.2);
  },
);
