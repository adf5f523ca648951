import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { queryAudit, type AuditFilters } from '../../src/audit/query.ts';
import { eventOf, intentOf, outcomeOf, type AuditRecord } from '../../src/audit/record.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { makeCall, makeContext, makeReply, openLog, settlementOf } from './calls.ts';
import { segmentPaths } from './segment-text.ts';

const alice = { id: 'alice', kind: 'token', groups: [], scopes: [], credential: 'alice-token' } as const;
const at = <T extends AuditRecord>(time: number, record: T): T => ({ ...record, time });

/** Five calls, a second apart from the time 1000 on, and an event. */
async function writeCalls(log: AuditLog): Promise<void> {
  const read = makeContext({ target: { kind: 'tool', server: 'files', exposed: 'fs__read', original: 'read' } });
  const calls = [
    makeCall({ id: 'c1', principal: alice }),
    makeCall({ id: 'c2' }),
    makeCall({ id: 'c3', client: { name: 'He said "Hi\\"', version: '1' } }),
    makeCall({ id: 'c4', method: 'prompts/get' }),
    makeCall({ id: 'c5' }),
  ];
  const echo = makeContext();
  const [c1, c2, c3, c4, c5] = [echo, read, read, echo, echo].map((ctx, index) =>
    at((index + 1) * 1000, intentOf(calls[index]!, ctx)),
  );
  const records: AuditRecord[] = [
    at(500, eventOf('start', { note: 'Straße' })),
    c1!,
    c2!,
    at(2500, outcomeOf(calls[1]!, settlementOf(makeReply()))),
    at(2600, outcomeOf(calls[0]!, settlementOf(makeReply({ isError: true })))),
    c3!,
    at(3500, outcomeOf(calls[2]!, settlementOf(new GatewayError('upstream_timed_out', 'x')))),
    c4!,
    at(4500, outcomeOf(calls[3]!, settlementOf(new GatewayError('unknown_target', 'x')))),
    c5!,
  ];
  await Promise.all(records.map((record) => log.append(record)));
}

const shared = mkdtempSync(join(tmpdir(), 'gateway-test-'));
const written = join(shared, 'audit');

beforeAll(async () => {
  const log = AuditLog.open({ folder: written, bounds: boundsWith({ auditSegment: 1_000 }) });
  await writeCalls(log);
  log.close();
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
  expect([...queryAudit(written, { kind: 'event', until: 2_000 })]).toEqual([
    { kind: 'event', seq: 2, time: 500, event: 'start', detail: { note: 'Straße' } },
  ]);
  expect([...queryAudit(written, { kind: 'event', text: 'STRASSE' })]).toEqual([]);
  expect([...queryAudit(written, { kind: 'all', until: 6_000 })].map((row) => row.kind)).toEqual([
    ...Array<string>(5).fill('call'),
    'event',
  ]);
});

test('a row has intent and outcome in one', () => {
  const [row] = queryAudit(written, { principal: 'alice' });

  expect(row).toEqual({
    ...JSON.parse(JSON.stringify(intentOf(makeCall({ principal: alice }), makeContext()))),
    kind: 'call',
    seq: 3,
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
  const { log, folder } = openLog();
  await log.append(intentOf(makeCall({ id: 'only' }), makeContext()));

  expect([...queryAudit(folder, { text: '0000000000000000000000000000000000' })]).toEqual([]);
});

const HOUR = 3_600_000;

/** Fifty calls an hour apart, from two days ahead on, with one wrong time in their midst; a segment for every few. */
async function writeHours(): Promise<{ folder: string; times: number[] }> {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: 2_000 }) });
  const begin = Date.now() + 48 * HOUR;
  const times = Array.from({ length: 50 }, (_, index) => begin + (index === 20 ? 40.5 : index) * HOUR);
  for (const [index, time] of times.entries())
    await log.append(at(time, intentOf(makeCall({ id: `t${index}` }), makeContext())));
  log.close();
  return { folder, times };
}

test('a search by time finds everything over many segments, also when the clock went back', async () => {
  const { folder, times } = await writeHours();
  expect(segmentPaths(folder).length).toBeGreaterThan(10);

  for (const since of [0, ...times, times.at(-1)! + 1]) {
    const expected = times.flatMap((time, index) => (time >= since ? [`t${index}`] : [])).reverse();
    const found = [...queryAudit(folder, { since })].map((row) => (row.kind === 'call' ? row.call : ''));
    expect(found).toEqual(expected);
  }
});

test('a search by time does not read the segments in which all is older', async () => {
  const { folder, times } = await writeHours();
  for (const path of segmentPaths(folder).slice(0, 3)) writeFileSync(path, 'nothing of sense\n');

  const kinds = (since: number) => new Set([...queryAudit(folder, { since })].map((row) => row.kind));

  expect(kinds(times[45]!)).toEqual(new Set(['call']));
  expect(kinds(0)).toEqual(new Set(['call', 'damaged']));
});

test('a log is read while it is written, and with nobody writing it', async () => {
  const { log, folder } = openLog();
  await writeCalls(log);

  expect([...queryAudit(folder)]).toHaveLength(5);
  log.close();
  expect([...queryAudit(folder)]).toHaveLength(5);
});

test('a record that is being written is not read yet', async () => {
  const { log, folder } = openLog();
  await writeCalls(log);
  const [path] = segmentPaths(folder);
  writeFileSync(path!, '{"seq":12,"v":1,"prev":"', { flag: 'a' });

  expect([...queryAudit(folder)]).toHaveLength(5);
});

test('a record of many kibibytes is read whole', async () => {
  const { log, folder } = openLog();
  const detail = { a: 'ä'.repeat(5_000) };
  for (let index = 0; index < 100; index += 1) void log.append(eventOf('big', detail));
  await log.append(eventOf('big', detail));

  const rows = [...queryAudit(folder, { kind: 'event', text: 'big' })];

  expect(rows).toHaveLength(101);
  expect(rows.every((row) => row.kind === 'event' && row.detail.a === detail.a)).toBe(true);
});

test.each<[string, string, { seq: number; time: number }]>([
  ['that ends too early', '{"seq":3,"v":1,"prev":"', { seq: 3, time: 2000 }],
  ['of something else', 'what is this', { seq: 3, time: 2000 }],
  ['of nothing', '', { seq: 3, time: 2000 }],
])('a line %s is shown as a damaged record among the others', async (_, line, expected) => {
  const { log, folder } = openLog();
  await writeCalls(log);
  const [path] = segmentPaths(folder);
  const lines = readFileSync(path!, 'utf8').split('\n');
  lines[2] = line;
  writeFileSync(path!, lines.join('\n'));

  const rows = [...queryAudit(folder)];

  expect(rows).toHaveLength(5);
  expect(rows.at(-1)).toEqual({ kind: 'damaged', ...expected });
});

test('a record that was cut in the middle keeps its time', async () => {
  const { log, folder } = openLog();
  await writeCalls(log);
  const [path] = segmentPaths(folder);
  const lines = readFileSync(path!, 'utf8').split('\n');
  lines[2] = lines[2]!.slice(0, 250);
  writeFileSync(path!, lines.join('\n'));

  expect([...queryAudit(folder)].at(-1)).toEqual({ kind: 'damaged', seq: 3, time: 1000 });
});

test('a query that is left early closes the file', async () => {
  const { log, folder } = openLog();
  await writeCalls(log);
  const open = () => readdirSync('/proc/self/fd').length;
  const before = process.platform === 'linux' ? open() : 0;

  for (const row of queryAudit(folder)) {
    expect(row.seq).toBe(11);
    break;
  }

  if (process.platform === 'linux') expect(open()).toBe(before);
});

test('a log that does not exist is an error that names it', () => {
  const folder = join(temporaryFolder(), 'audit');

  expect(() => [...queryAudit(folder)]).toThrow(StateError);
  expect(() => [...queryAudit(folder)]).toThrow(/audit does not exist/);
});
