// The process that is started ahead of the next owner, where a server runs one for each: who gets it, and when there is none.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onTestFinished, tellTestsApart } from '../apart.ts';
import { alive, marked } from '../upstream/mcp/processes.ts';
import { fixture, type RunningGateway, openGateway, withEnv, workspace } from './harness/gateway.ts';
import { untilLogged } from './harness/log.ts';
import { SessionClient } from './harness/session-client.ts';
import { statusOf, statusUntil } from './harness/status.ts';

tellTestsApart();

interface Place {
  readonly gateway: RunningGateway;
  /** Processes that were started so far and have begun to read. */
  starts(): number;
  /** The processes of the server that run. */
  running(): number[];
  /** Opens a session and calls, which starts a process or takes the spare. */
  owner(capabilities?: object): Promise<{ client: SessionClient; self: string; instance: string }>;
  edit(entry: object): void;
}

/** A gateway with one server, which has asked a question before anything else happens. */
async function start(entry: object, ...args: string[]): Promise<Place> {
  const space = workspace({});
  const file = join(space.directory, 'starts');
  const marker = randomUUID();
  const server = withEnv(fixture('private-stdio.ts', '--starts', file, ...args), { MARKER: marker });
  const edit = (changed: object) => space.write('mcp-gateway.json', { mcpServers: { s: { ...server, ...changed } } });
  edit(entry);
  const gateway = await openGateway({ space });
  onTestFinished(async () => {
    await gateway.stop();
    space.remove();
  });
  await gateway.attempted();
  const asked = await SessionClient.open(gateway.origin);
  await asked.call('s__ask', { label: 'whoever' });
  await asked.end();
  return {
    gateway,
    starts: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0),
    running: () => marked(marker),
    owner: async (capabilities = {}) => {
      const client = await SessionClient.open(gateway.origin, { capabilities: { ...capabilities } });
      const { self } = await client.facts('s');
      const { instances } = await statusOf(gateway, 's');
      return { client, self, instance: instances.at(-1)?.id ?? '' };
    },
    edit,
  };
}

/** The instances that were started ahead so far. */
function ahead({ gateway }: Place): string[] {
  return [...gateway.log().matchAll(/"instance":"([^"]+)"[^\n]*"msg":"spare_started"/g)].map(([, id]) => id ?? '');
}

/** Those that were stopped because nobody used the server. A server has no spare to show also while one starts. */
function unused({ gateway }: Place): string[] {
  const lines = gateway
    .log()
    .matchAll(/"instance":"([^"]+)"[^\n]*"reason":"it was not used"[^\n]*"msg":"spare_ended"/g);
  return [...lines].map(([, id]) => id ?? '');
}

const hasSpare = ({ pool }: { pool: { spares: number } }) => pool.spares === 1;
const hasNone = ({ pool }: { pool: { spares: number } }) => pool.spares === 0;

test.concurrent(
  'the next owner gets the process that was started ahead, declares what is its own there, and another is started',
  async () => {
    const place = await start({ isolation: 'session' });
    expect((await statusOf(place.gateway, 's')).pool.spares).toBe(0);
    const first = await place.owner();
    await statusUntil(place.gateway, 's', hasSpare);
    const [spare] = ahead(place);
    const declared = { sampling: {}, roots: { listChanged: true } };
    const second = await place.owner(declared);
    await statusUntil(place.gateway, 's', hasSpare);

    expect(second.instance).toBe(spare);
    expect(second.self).not.toBe(first.self);
    expect((await second.client.facts('s')).capabilities).toEqual(declared);
    expect((await first.client.facts('s')).capabilities).toEqual({});
    expect(ahead(place)).toHaveLength(2);
    expect((await place.gateway.cli('servers', 's')).stdout).toContain('32 instances of owners (1 spare)');
  },
);

test.concurrent('it is counted within instances.max, and makes way for nobody but those who take it', async () => {
  const place = await start({ isolation: 'session', instances: { max: 2 } });
  await place.owner();
  await statusUntil(place.gateway, 's', hasSpare);
  await place.owner();
  expect(await statusOf(place.gateway, 's')).toMatchObject({ pool: { spares: 0 } });
  await place.owner();

  expect(ahead(place)).toHaveLength(1);
  expect((await statusOf(place.gateway, 's')).instances.filter(({ owner }) => owner !== undefined)).toHaveLength(2);
});

test.concurrent('it is stopped with the last use, and started again with the next', async () => {
  const place = await start({ isolation: 'session', instances: { idle: '300ms' } });
  for (let round = 1; round <= 2; round++) {
    await place.owner();
    await statusUntil(place.gateway, 's', () => unused(place).length === round);
  }
  await statusUntil(place.gateway, 's', (status) => hasNone(status) && place.running().length === 0);

  expect(ahead(place)).toHaveLength(2);
  expect(unused(place)).toEqual(ahead(place));
});

test.concurrent.each([
  ['that owners no longer need', { isolation: 'shared' }],
  ['that is disabled', { disabled: true }],
])('a server %s keeps none', async (_, edit) => {
  const place = await start({ isolation: 'session' });
  await place.owner();
  await statusUntil(place.gateway, 's', hasSpare);
  place.edit(edit);
  await statusUntil(place.gateway, 's', hasNone);

  await untilLogged(place.gateway, '"msg":"spare_ended"');
});

test.concurrent(
  'one that is of no use any more when it is taken costs its owner a start, and nothing else',
  async () => {
    const replaced = join(tmpdir(), randomUUID());
    const place = await start({ isolation: 'session' }, '--replaced', replaced);
    const first = await place.owner();
    await statusUntil(place.gateway, 's', (status) => hasSpare(status) && place.starts() === 4); // everybody's, two owners', and it
    writeFileSync(replaced, '');
    onTestFinished(() => rmSync(replaced));
    const { self, instance } = await place.owner();

    expect(self).not.toBe(first.self);
    expect(instance).toBe(ahead(place)[0]);
    expect(place.starts()).toBeGreaterThanOrEqual(5);
    expect(await statusOf(place.gateway, 's')).toMatchObject({ errors: [], circuit: 'closed' });
  },
);

test.concurrent('it is gone with the gateway, and is not started for a server that never asked', async () => {
  const space = workspace({ mcpServers: { s: { ...fixture('private-stdio.ts'), isolation: 'session' } } });
  const quiet = await openGateway({ space });
  await quiet.attempted();
  for (let session = 0; session < 2; session++) await (await SessionClient.open(quiet.origin)).facts('s');
  expect((await statusOf(quiet, 's')).pool.spares).toBe(0);
  expect(quiet.log()).not.toContain('spare_started');
  await quiet.stop();
  space.remove();

  const place = await start({ isolation: 'session' });
  await place.owner();
  await statusUntil(place.gateway, 's', hasSpare);
  const pids = place.running();
  expect(pids.length).toBeGreaterThanOrEqual(3);
  await place.gateway.stop();
  expect(alive(pids)).toEqual([]);
});
