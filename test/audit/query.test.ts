import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { queryAudit, type AuditFilters } from '../../src/audit/query.ts';
import { eventOf, failureOf, intentOf, outcomeOf, type AuditRecord } from '../../src/audit/record.ts';
import { type Call } from '../../src/core/call.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { AUDIT_MIGRATIONS } from '../../src/storage/migrations.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { ALLOWED, makeCall, makeReply, openLog } from './calls.ts';

const alice = { id: 'alice', kind: 'token', groups: [], scopes: [], credential: 'alice-token' } as const;
const at = <T extends AuditRecord>(time: number, record: T): T => ({ ...record, time });

/** Five calls, a second apart from the time 1000 on, and an event. */
async function writeCalls(log: AuditLog): Promise<void> {
  const read: Partial<Call> = { target: { kind: 'tool', server: 'files', exposed: 'fs__read', original: 'read' } };
  const calls = [
    makeCall({ id: 'c1', principal: alice }),
    makeCall({ id: 'c2', ...read }),
    makeCall({ id: 'c3', ...read, client: { name: 'He said "Hi\\"', version: '1' } }),
    makeCall({ id: 'c4', method: 'prompts/get' }),
    makeCall({ id: 'c5' }),
  ];
  const [c1, c2, c3, c4, c5] = calls.map((call, index) => at((index + 1) * 1000, intentOf(call, ALLOWED, 'c')));
  const records: AuditRecord[] = [
    at(500, eventOf('start', { note: 'Straße' })),
    c1!,
    c2!,
    at(2500, outcomeOf(calls[1]!, makeReply())),
    at(2600, outcomeOf(calls[0]!, makeReply({ isError: true }))),
    c3!,
    at(3500, failureOf(calls[2]!, new GatewayError('upstream_timed_out', 'x'))),
    c4!,
    at(4500, failureOf(calls[3]!, new GatewayError('unknown_target', 'x'))),
    c5!,
  ];
  await Promise.all(records.map((record) => log.append(record)));
}

const shared = mkdtempSync(join(tmpdir(), 'gateway-test-'));
const written = join(shared, 'audit.db');

beforeAll(async () => {
  const log = await AuditLog.open({ file: written });
  await writeCalls(log);
  await log.close();
});

afterAll(() => {
  rmSync(shared, { recursive: true });
});

test.each<[string, AuditFilters, string[]]>([
  ['nothing: all calls, newest first', {}, ['c5', 'c4', 'c3', 'c2', 'c1']],
  ['a limit', { limit: 2 }, ['c5', 'c4']],
  ['a limit of none', { limit: 0 }, []],
  ['since, inclusive', { since: 3000 }, ['c5', 'c4', 'c3']],
  ['until, exclusive', { until: 3000 }, ['c2', 'c1']],
  ['a range', { since: 2000, until: 4000 }, ['c3', 'c2']],
  ['a principal', { principal: 'alice' }, ['c1']],
  ['a principal by its whole id only', { principal: 'alic' }, []],
  ['a server', { server: 'files' }, ['c3', 'c2']],
  ['a tool by its exposed name', { tool: 'fs__read' }, ['c3', 'c2']],
  ['a tool by its original name', { tool: 'echo' }, ['c5', 'c4', 'c1']],
  ['a word that is in the record, but not as a tool', { tool: 'alice' }, []],
  ['a method', { method: 'prompts/get' }, ['c4']],
  ['status ok', { status: 'ok' }, ['c2']],
  ['status tool_error', { status: 'tool_error' }, ['c1']],
  ['status timed_out', { status: 'timed_out' }, ['c3']],
  ['status refused', { status: 'refused' }, ['c4']],
  ['status in flight', { status: 'in flight' }, ['c5']],
  ['text in any letter case', { text: 'FS__READ' }, ['c3', 'c2']],
  ['text of the outcome', { text: 'upstream_timed_out' }, ['c3']],
  ['text with quotes and backslashes', { text: 'said "hi\\"' }, ['c3']],
  ['several filters', { server: 'everything', status: 'in flight', text: '127.0.0.1' }, ['c5']],
])('a query for %s', (_, filters, expected) => {
  const found = [...queryAudit(written, filters)].map((row) => (row.kind === 'call' ? row.call : row.kind));

  expect(found).toEqual(expected);
});

test('events are shown on request, alone or among the calls', () => {
  const file = written;

  expect([...queryAudit(file, { kind: 'event' })]).toEqual([
    { kind: 'event', seq: 1, time: 500, event: 'start', detail: { note: 'Straße' } },
  ]);
  expect([...queryAudit(file, { kind: 'event', text: 'STRASSE' })]).toEqual([]);
  expect([...queryAudit(file, { kind: 'all' })].map((row) => row.kind)).toEqual([
    ...Array<string>(5).fill('call'),
    'event',
  ]);
});

test('a row has intent and outcome in one', () => {
  const [row] = queryAudit(written, { principal: 'alice' });

  expect(row).toEqual({
    ...JSON.parse(JSON.stringify(intentOf(makeCall({ principal: alice }), ALLOWED, 'c'))),
    kind: 'call',
    seq: 2,
    time: 1000,
    call: 'c1',
    status: 'tool_error',
    duration: expect.any(Number) as number,
    instance: 'everything#1',
    upstream: { era: 'legacy', transport: 'stdio' },
    responseBytes: 45,
  });
});

test('a hash in the chain is not found by text', async () => {
  const { log, file } = await openLog();
  await log.append(intentOf(makeCall({ id: 'only' }), ALLOWED, 'c'));

  expect([...queryAudit(file, { text: '0000000000000000000000000000000000' })]).toEqual([]);
});

test('a search by time finds everything over many marks, also when the clock went back', async () => {
  const { log, file } = await openLog();
  const times = Array.from({ length: 6_000 }, (_, index) =>
    index === 2_500 ? 9_000 : index < 3_000 ? 5_000 : 1_000 + Math.floor(index / 10),
  );
  for (let from = 0; from < times.length; from += 500) {
    await Promise.all(
      times.slice(from, from + 500).map((time, index) => {
        return log.append(at(time, intentOf(makeCall({ id: `t${from + index}` }), ALLOWED, 'c')));
      }),
    );
  }

  for (const since of [0, 1_500, 5_000, 8_000, 10_000]) {
    const expected = times.flatMap((time, index) => (time >= since ? [`t${index}`] : [])).reverse();
    const found = [...queryAudit(file, { since })].map((row) => (row.kind === 'call' ? row.call : ''));
    expect(found).toEqual(expected);
  }
});

test('a log is read while it is written, and with nobody writing it', async () => {
  const { log, file } = await openLog();
  await writeCalls(log);

  expect([...queryAudit(file)]).toHaveLength(5);
  await log.close();
  expect([...queryAudit(file)]).toHaveLength(5);
});

test('a damaged record is shown as such among the others', async () => {
  const { log, file } = await openLog();
  await writeCalls(log);
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, synchronous: 'NORMAL' });
  db.exec('DROP TRIGGER records_are_never_changed; UPDATE records SET body = \'{"seq":2\' WHERE seq = 2');
  db.close();

  const rows = [...queryAudit(file)];

  expect(rows).toHaveLength(5);
  expect(rows.at(-1)).toEqual({ kind: 'damaged', seq: 2, time: 1000 });
});

test('a query that is left early closes the file', async () => {
  const { log, file } = await openLog();
  await writeCalls(log);

  for (const row of queryAudit(file)) {
    expect(row.seq).toBe(10);
    break;
  }

  await log.close();
  openDatabase(file, { migrations: AUDIT_MIGRATIONS, synchronous: 'NORMAL' }).close();
});

test('a log that does not exist is an error that names it', () => {
  const file = join(temporaryFolder(), 'audit.db');

  expect(() => [...queryAudit(file)]).toThrow(StateError);
  expect(() => [...queryAudit(file)]).toThrow(/audit\.db does not exist/);
});
