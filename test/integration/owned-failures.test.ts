// What the failures of one owner's instances say of a server, and what they do not; and what is said of a server that is not there.
import { afterEach, expect, test } from 'vitest';
import { fixture, type RunningGateway, openGateway, type StartOptions } from './harness/gateway.ts';
import { ALICE, BOB } from './harness/principals.ts';
import { callText, legacy, refuse, said, startScripted, tool } from './harness/scripted.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusOf, statusUntil, until } from './harness/status.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(options: StartOptions): Promise<RunningGateway> {
  const gateway = await openGateway(options);
  ends.push(() => gateway.stop());
  await gateway.attempted();
  return gateway;
}

/** An HTTP server with sessions, and so with an instance for each session; `full` makes it refuse new ones. */
async function startWeb() {
  const sessions = new Set<string>();
  const mode = { full: false };
  const server = await startScripted(
    legacy(
      () => [tool('do')],
      sessions,
      (visit) => {
        if (visit.rpc === 'initialize' && mode.full) {
          refuse(visit, 503);
          return undefined;
        }
        return visit.rpc === 'tools/call' && sessions.has(String(visit.headers['mcp-session-id']))
          ? said('done')
          : undefined;
      },
    ),
  );
  ends.push(() => server.stop());
  const gateway = await start({ config: { mcpServers: { s: { url: server.url } } } });
  return { server, gateway, mode, session: () => SessionClient.open(gateway.origin) };
}

test('calls that crash the processes of one principal do not keep another from the server', async () => {
  const auth = {
    tokens: [
      { id: 'alice', token: ALICE },
      { id: 'bob', token: BOB },
    ],
  };
  const mcpServers = { s: { ...fixture('private-stdio.ts'), isolation: 'principal' } };
  const gateway = await start({ config: { auth, mcpServers } });
  const alice = await SessionClient.open(gateway.origin, { token: ALICE });
  const bob = await SessionClient.open(gateway.origin, { token: BOB });
  for (let crash = 0; crash < 6; crash++) expect(await alice.call('s__crash')).toMatch(/-33011.*exit code 3/);

  expect((await statusOf(gateway, 's')).circuit).toBe('closed');
  expect((await bob.facts('s')).self).toBeDefined();
});

test('an HTTP server that is gone is noticed by the first session that cannot reach it, though nobody else has called', async () => {
  const { server, gateway, session } = await startWeb();
  expect(await statusOf(gateway, 's')).toMatchObject({ state: 'ready', stale: false });
  await server.stop();

  expect(await (await session()).call('s__do')).toContain('-33010');
  const gone = await statusUntil(gateway, 's', ({ state }) => state === 'waiting');
  expect(gone).toMatchObject({ stale: true, lastError: expect.stringContaining('ECONNREFUSED') as string });
});

test('an HTTP server that takes no new session now keeps the ones that it has', async () => {
  const { server, gateway, mode, session } = await startWeb();
  const [one, two] = [await session(), await session()];
  expect(await one.call('s__do')).toBe('done');
  const before = await statusOf(gateway, 's');
  mode.full = true;

  expect(await two.call('s__do')).toMatch(/-33010.*HTTP 503/);
  expect(await one.call('s__do')).toBe('done');
  const after = await statusOf(gateway, 's');
  expect(after).toMatchObject({ state: 'ready', restarts: 0 });
  expect(after.instances.map(({ id }) => id)).toEqual(before.instances.map(({ id }) => id));
  expect(server.seen.filter(({ http }) => http === 'DELETE')).toEqual([]);
});

test('a server that never answered is unreachable at its own URL, whatever it is asked; its reason and the next attempt are sentences', async () => {
  // a port that was free a moment ago may be another server's by now
  const gateway = await start({ config: { mcpServers: { s: { url: 'http://127.0.0.1:9/mcp' } } } });
  const text = await until(
    () => callText(`${gateway.origin}/mcp/s/s`, 'anything'),
    (answer) => answer.includes('tried again'),
  );

  expect(text).toMatch(/^-33010 The server "s" is not available: .*:\d+\. It is tried again in \d+ s\.$/);
});
