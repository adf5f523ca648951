// Servers that speak both eras, for as long as it takes to believe that nothing crosses, and that no process stays for nobody.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runCollidingClients } from '../integration/harness/colliding-clients.ts';
import { fixture, openGateway } from '../integration/harness/gateway.ts';
import { ALICE, AUTH, BOB, SHARED_ERRANDS } from '../integration/harness/principals.ts';
import { openSession, send } from '../integration/harness/raw.ts';
import { callText } from '../integration/harness/scripted.ts';
import { startServer } from '../integration/harness/servers.ts';
import { statusOf } from '../integration/harness/status.ts';
import { erasOfRecord, recordsOf } from '../integration/harness/tasks.ts';

test('10,000 interleaved calls of two principals in two eras give nobody anything foreign, and none changes its era', async () => {
  const web = await startServer('sdk-server.ts', '--era', 'both', '--keep-alive', '65000');
  const gateway = await openGateway({
    config: {
      auth: AUTH,
      mcpServers: {
        web: { url: web.url },
        pipe: fixture('sdk-server.ts', '--transport', 'stdio', '--era', 'both', '--scheme', 'pipe'),
        echo: fixture('echo-stdio.ts'),
      },
    },
    args: ['--log-level', 'warn'],
    env: { ALICE, BOB },
  });
  await gateway.attempted();

  const findings = await runCollidingClients(gateway.origin, {
    clients: 40,
    calls: 250,
    tokens: [ALICE, BOB],
    errands: [
      { every: 3, tool: 'pipe__echo', args: (secret) => ({ text: secret }), text: (secret) => secret },
      ...SHARED_ERRANDS,
    ],
  });
  const records = await recordsOf(gateway, '--method', 'tools/call', '--status', 'ok');
  await gateway.stop();
  await web.stop();

  expect(findings.foreign).toEqual([]);
  expect(findings.answered).toBe(10_000);
  const eras = records.filter(({ server }) => server !== 'echo').map(erasOfRecord);
  expect(new Set(eras)).toEqual(new Set(['legacy legacy', 'modern modern']));
}, 600_000);

test('the process of an era that nobody uses is stopped after a minute while the other runs, and starts again with the next call', async () => {
  const gateway = await openGateway({
    config: { mcpServers: { s: fixture('moody-stdio.ts', '--era', 'dual') } },
  });
  await gateway.attempted();
  const older = await openSession(gateway.origin);
  const call = () =>
    send(gateway.origin, older.request('tools/call', { name: 's__echo', arguments: { text: 'older' } }));
  const newer = () => callText(gateway.url, 's__echo', { text: 'newer' });
  const erasOf = async () => (await statusOf(gateway, 's')).instances.map(({ era }) => era).sort();
  await call();
  await newer();

  const useNewer = async () => {
    for (let times = 0; times < 5; times++) {
      await newer();
      await delay(20_000);
    }
  };

  // a session that used it may come back: the process waits for it
  await useNewer();
  expect(await erasOf()).toEqual(['legacy', 'modern']);
  await send(gateway.origin, older.delete());
  await useNewer();
  expect(await erasOf()).toEqual(['modern']);

  const again = await openSession(gateway.origin);
  const { text } = await send(
    gateway.origin,
    again.request('tools/call', { name: 's__echo', arguments: { text: 'again' } }),
  );
  expect(text).toContain('again');
  expect(await erasOf()).toEqual(['legacy', 'modern']);
  await gateway.stop();
}, 400_000);
