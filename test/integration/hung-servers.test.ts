// Processes that hang, stop themselves, or are merely busy: what is ended and started anew, what is left alone, and what callers are told.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { alive, descendants } from '../upstream/mcp/processes.ts';
import { fixture, type GatewayProcess, type RunningGateway, startGateway, workspace } from './harness/gateway.ts';
import { kept, openTried } from './harness/kept.ts';
import { callText, modern, said, startScripted, tool } from './harness/scripted.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

tellTestsApart();

/** A gateway with the server that gets stuck, when it has answered its first ping. */
async function startWedged(timeouts: JsonObject, ...options: string[]): Promise<GatewayProcess> {
  const space = workspace({});
  onTestFinished(() => space.remove());
  const requests = join(space.directory, 'requests');
  const entry = fixture('wedged-stdio.ts', '--requests', requests, ...options);
  space.write('mcp-gateway.json', { mcpServers: { s: { ...entry, timeouts } } });
  const gateway = await kept(startGateway({ space }));
  await gateway.attempted();
  await until(
    () => Promise.resolve(existsSync(requests) ? readFileSync(requests, 'utf8') : ''),
    (text) => text.includes('ping\n') && text.includes('tools/list\n'),
  );
  // what it is asked next is answered after the ping
  expect(await callText(gateway.url, 's__echo')).toBe('well');
  return gateway;
}

const HUNG =
  /^-33012 The server "s" was taken for hung and is started anew: during a call it left a ping unanswered for 0\.6 s \(timeouts\.ping\), and said nothing else\.$/;

describe.concurrent('A process that leaves a ping unanswered during a call', () => {
  test.each(['stop', 'spin'])('is ended and started anew, and the next call works (%s)', async (tool) => {
    const gateway = await startWedged({ ping: '600ms' });

    const [stuck, beside] = await Promise.all([
      callText(gateway.url, `s__${tool}`),
      callText(gateway.url, 's__silent'),
    ]);
    const after = await statusUntil(gateway, 's', ({ state }) => state === 'ready');

    expect(stuck).toMatch(HUNG);
    expect(beside).toMatch(HUNG);
    expect(after).toMatchObject({ restarts: 1 });
    expect(after.lastError).toMatch(
      /taken for hung .* set timeouts\.ping in its entry to as long as its longest call may take\.$/,
    );
    expect(await callText(gateway.url, 's__echo')).toBe('well');
  });

  test('is left alone where its entry gives it the time, and so is one that works meanwhile', async () => {
    const gateway = await startWedged({ ping: '10m' });

    expect(await callText(gateway.url, 's__block', { ms: 1_500 })).toBe('worked');
    expect(await statusOf(gateway, 's')).toMatchObject({ restarts: 0 });
  });
});

test.concurrent('a gateway that is told to end takes a process with it that has stopped itself, at once', async () => {
  const gateway = await startWedged({ total: '500ms', ping: '10m' });
  expect(await callText(gateway.url, 's__stop')).toMatch(/^-33012 .*timeouts\.total/);
  const family = descendants(gateway.process.pid ?? 0);
  const before = performance.now();

  const status = await gateway.stop();

  expect(status).toBe(143);
  expect(performance.now() - before).toBeLessThan(8_000);
  expect(family.length).toBeGreaterThan(1);
  await until(
    () => Promise.resolve(alive(family)),
    (left) => left.length === 0,
  );
});

describe('A tool that never answers', () => {
  const timeouts = { total: '500ms' };
  const startMixed = async () => {
    const server = await kept(
      startScripted(
        modern(
          () => [tool('slow'), tool('well')],
          ({ rpc, params }) => (rpc === 'tools/call' && params.name === 'well' ? said('well') : undefined),
        ),
      ),
    );
    return openTried({ config: { mcpServers: { s: { url: server.url, timeouts } } } });
  };
  const slowly = (gateway: RunningGateway) => callText(gateway.url, 's__slow');

  test('is refused alone after five time-outs: the other tools of its server are called on', async () => {
    const gateway = await startMixed();

    const ends = await Promise.all([1, 2, 3, 4, 5].map(() => slowly(gateway)));
    const refused = await slowly(gateway);
    const status = await statusOf(gateway, 's');
    const shown = await gateway.cli('servers', 's');

    for (const end of ends) expect(end).toMatch(/^-33012/);
    expect(refused).toMatch(
      /^-33010 The server "s" is not given this call for now: the last ones like it ran out of time\./,
    );
    expect(status).toMatchObject({ circuit: 'open', circuitTarget: 'tools/call slow' });
    expect(shown.stdout).toContain('open for tools/call slow alone');
    for (let call = 0; call < 10; call++) expect(await callText(gateway.url, 's__well')).toBe('well');
  });

  test('opens nothing while its server answers other calls', async () => {
    const gateway = await startMixed();

    const hanging = Promise.all(Array.from({ length: 10 }, () => slowly(gateway)));
    await statusUntil(gateway, 's', ({ inFlight }) => inFlight === 10);
    expect(await callText(gateway.url, 's__well')).toBe('well');
    for (const end of await hanging) expect(end).toMatch(/^-33012/);

    expect(await statusOf(gateway, 's')).toMatchObject({ circuit: 'closed' });
  });
});
