// What belongs to one caller is, in the hands of anybody else, what never was; and each attempt is in the record (security bar, B-15).
//
// The seven who try: another user, a user of another tenant (another group), another client (with its own token and name), the same client
// with a token of more rights (another id), nobody (no token at all), somebody whose token was removed by a reload, and the owner itself
// when the handle is over: its session ended, its state past its time, its listener closed, its call done.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queryAudit } from '../../src/audit/query.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { startAsking } from './harness/asking.ts';
import { ASKING_TOOLS } from './harness/asking-tools.ts';
import { type RunningGateway, openGateway } from './harness/gateway.ts';
import { type Handle, HANDLES } from './harness/handles.ts';
import { modern, send } from './harness/raw.ts';
import type { ScriptedServer } from './harness/scripted.ts';
import { type RunningServer, startServer } from './harness/servers.ts';
import { statusesOf, until } from './harness/status.ts';
import type { Visitor } from './harness/visitor.ts';

/** By the id of the principal; the value is made longer, as tokens must be. */
const GROUPS: Readonly<Record<string, string[]>> = {
  alice: ['people'],
  bob: ['people'],
  carol: ['others'],
  dave: ['people'],
  'alice-admin': ['people', 'admins'],
  eve: ['people'],
};
const tokenOf = (principal: string): string => `${principal}-token-0123456789-abcdefghijkl`;

const holder = (principal: string, client = 'raw'): Omit<Visitor, 'address'> => ({
  principal,
  token: tokenOf(principal),
  client,
});

interface Thief {
  readonly who: Omit<Visitor, 'address'>;
  /** Whose handle it is; Alice's unless told otherwise. */
  readonly owner?: Omit<Visitor, 'address'>;
  /** What becomes of the handle or its owner before the attempt. */
  readonly first?: 'ends' | 'is revoked';
}

const THIEVES: Readonly<Record<string, Thief>> = {
  'another user': { who: holder('bob') },
  anonymous: { who: { principal: '', client: 'raw' } },
  'the owner, when it is over': { who: holder('alice'), first: 'ends' },
  'the owner, revoked': { who: holder('eve'), owner: holder('eve'), first: 'is revoked' },
  'another tenant': { who: holder('carol') },
  'another client': { who: holder('dave', 'another client') },
  'the same client with more rights': { who: holder('alice-admin') },
};

let gateway: RunningGateway;
let web: RunningServer;
let working: RunningServer;
let asking: ScriptedServer;
/** Handles of whoever is revoked, taken while that was not so. */
const ofRevoked = new Map<string, Handle>();

const configOf = (principals: readonly string[]) => ({
  auth: { tokens: principals.map((id) => ({ id, token: tokenOf(id), groups: GROUPS[id] })) },
  mcpServers: { web: { url: web.url }, t: { url: asking.url }, k: { url: working.url } },
});

beforeAll(async () => {
  web = await startServer('sdk-server.ts', '--era', 'modern', '--scheme', 'web');
  working = await startServer('conformance-modern.ts');
  asking = await startAsking(ASKING_TOOLS);
  gateway = await openGateway({ config: configOf(Object.keys(GROUPS)), args: ['--log-level', 'warn'] });
  await gateway.attempted();
  const eve = { ...holder('eve'), address: '127.0.0.1' };
  for (const [name, kind] of Object.entries(HANDLES)) ofRevoked.set(name, await kind.take(gateway, eve));
  gateway.write('mcp-gateway.json', configOf(Object.keys(GROUPS).filter((id) => id !== 'eve')));
  const headers = { Authorization: `Bearer ${tokenOf('eve')}` };
  await until(
    async () => (await send(gateway.origin, modern('server/discover', {}, { headers }))).status,
    (status) => status === 401,
  );
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([web.stop(), working.stop(), asking.stop()]);
});

/** Whether the record says so of an address; asked with a round trip, since what is no call is not waited for. */
async function isRecorded(address: string, wanted: (row: JsonObject) => boolean): Promise<boolean> {
  const folder = join(gateway.state, 'audit');
  return until(
    async () => {
      await statusesOf(gateway);
      const rows = [...queryAudit(folder, { kind: 'all', text: address })] as unknown as JsonObject[];
      return rows.some((row) => addressOf(row) === address && wanted(row));
    },
    (found) => found,
  );
}

const addressOf = ({ address, detail }: JsonObject): unknown =>
  address ?? (isObject(detail) ? detail.address : undefined);

describe.each(Object.entries(HANDLES).map(([name, kind], row) => ({ name, kind, row })))(
  '$name',
  ({ name, kind, row }) => {
    test.each(Object.entries(THIEVES).map(([by, thief], column) => ({ by, thief, column })))(
      '$by: as one that never was',
      async ({ thief, column }) => {
        const { who, owner = holder('alice'), first } = thief;
        const by: Visitor = { ...who, address: `127.0.${row + 1}.${column + 1}` };
        // a listener is recorded when it begins: what its owner did must be told apart by address as well
        const taker = { ...owner, address: first === 'ends' ? by.address : '127.0.0.1' };
        const handle = first === 'is revoked' ? ofRevoked.get(name)! : await kind.take(gateway, taker);
        if (first === 'ends') await handle.end();
        const tried = await handle.use(by);
        if (first === undefined) await handle.intact();

        for (const { stolen, unknown } of tried) expect(stolen).toEqual(unknown);
        const barred = by.token === undefined || first === 'is revoked';
        expect(JSON.stringify(tried).includes('"status":401')).toBe(barred);
        const wanted = (row: JsonObject) => (barred ? row.event === 'authentication_failed' : kind.recorded(row, by));
        expect(await isRecorded(by.address, wanted)).toBe(true);
      },
    );
  },
);
