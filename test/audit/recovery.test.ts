import { chmodSync, cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { queryAudit } from '../../src/audit/query.ts';
import { eventOf, intentOf, outcomeOf, type AuditRecord } from '../../src/audit/record.ts';
import { segmentAt } from '../../src/audit/segments.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { size } from '../size.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { makeCall, makeContext, makeReply, openLog, settlementOf } from './calls.ts';
import { segmentPaths, storedCalls, storedLines } from './segment-text.ts';

const IN_FLIGHT = size(2_000, 20_000);

/** Records as hostile clients and odd clocks make them. */
const anyText = fc.string({ unit: 'binary', maxLength: 200 });
const anyTime = fc.nat(2 ** 45);
const anyRecord: fc.Arbitrary<AuditRecord> = fc.oneof(
  fc.record({ text: anyText, time: anyTime }).map(({ text, time }) => {
    const call = makeCall({ client: { name: text, version: text }, address: text });
    const decision = { allowed: true, rule: text, reason: text };
    return { ...intentOf(call, makeContext({ target: undefined, requested: text, decision })), time };
  }),
  anyTime.map((time) => ({ ...outcomeOf(makeCall(), settlementOf(makeReply())), time })),
  fc.record({ text: anyText, key: anyText, time: anyTime }).map(({ text, key, time }) => {
    return { ...eventOf(text, { [key]: text }), time };
  }),
);

/** Appends in the given groups, each of which is one commit. */
async function writeGroups(folder: string, groups: readonly AuditRecord[][]): Promise<void> {
  const { log } = openLog({ folder, bounds: boundsWith({ auditSegment: 6_000 }) });
  for (const group of groups) await Promise.all(group.map((record) => log.append(record)));
  log.close();
}

test('whatever was recorded is read back, and cut anywhere in its last segment the log loses nothing before the cut', async () => {
  const folder = join(temporaryFolder(), 'audit');
  const cut = join(temporaryFolder(), 'audit');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
      fc.nat(),
      async (groups, where) => {
        rmSync(folder, { recursive: true, force: true });
        rmSync(cut, { recursive: true, force: true });
        await writeGroups(folder, groups);
        const whole = storedLines(folder);
        const records = whole.map((line) => JSON.parse(line) as AuditRecord);
        const expected = groups.flat().map((record) => JSON.parse(JSON.stringify(record)) as AuditRecord);
        const kept = records.filter((record) => record.kind !== 'event' || record.event !== 'segment_started');
        expect(kept.map(({ kind, time }) => [kind, time])).toEqual(expected.map(({ kind, time }) => [kind, time]));
        expect(verifyAudit(folder)).toMatchObject({ ok: true, records: whole.length });

        cpSync(folder, cut, { recursive: true });
        const last = segmentPaths(cut).at(-1)!;
        truncateSync(last, where % (statSync(last).size + 1));
        const before = storedLines(cut);
        expect(before).toEqual(whole.slice(0, before.length));
        AuditLog.open({ folder: cut, bounds: boundsWith({ auditSegment: 6_000 }) }).close();

        expect(storedLines(cut).slice(0, before.length)).toEqual(before);
        expect(verifyAudit(cut)).not.toHaveProperty('unfinished');
        expect(verifyAudit(cut)).toMatchObject({ ok: true, records: storedLines(cut).length });
        expect([...queryAudit(cut, { status: 'in flight' })]).toEqual([]);
      },
    ),
    { numRuns: size(30, 600) },
  );
}, 60_000);

/** A log with one call that has ended. */
async function writeCall(): Promise<{ folder: string; path: string }> {
  const { log, folder } = openLog();
  const call = makeCall();
  await log.append(intentOf(call, makeContext()));
  await log.append(outcomeOf(call, settlementOf(makeReply())));
  log.close();
  return { folder, path: segmentPaths(folder)[0]! };
}

test('a torn end is cut off, and the log says so', async () => {
  const { folder, path } = await writeCall();
  const before = readFileSync(path, 'utf8');
  writeFileSync(path, '{"seq":4,"v":1,"pre', { flag: 'a' });

  openLog({ folder });

  expect(readFileSync(path, 'utf8').startsWith(before)).toBe(true);
  expect([...queryAudit(folder, { kind: 'event', text: 'audit_repaired' })]).toMatchObject([
    { event: 'audit_repaired', detail: { segment: segmentAt(folder, 1).name, bytes: 19 } },
  ]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 4 });
});

test('a log that was shut down in good order is opened without a word', async () => {
  const { folder, path } = await writeCall();
  const before = readFileSync(path);

  openLog({ folder });

  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a segment without a whole record is gone after a start, and what it shows to be missing is recorded', async () => {
  const { folder } = await writeCall();
  writeFileSync(segmentAt(folder, 9).path, '{"seq":9');

  openLog({ folder });

  expect(segmentPaths(folder)).toHaveLength(1);
  expect([...queryAudit(folder, { kind: 'event', text: 'audit_repaired' })]).toMatchObject([
    { detail: { segment: segmentAt(folder, 9).name, bytes: 8, missing: 5 } },
  ]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 4 });
});

test('a segment that was only created is begun by the next record', async () => {
  const { folder } = await writeCall();
  writeFileSync(segmentAt(folder, 4).path, '');

  const { log } = openLog({ folder, bounds: boundsWith({ auditSegment: 1 }) });
  await log.append(eventOf('next'));

  expect(segmentPaths(folder)).toHaveLength(2);
  expect([...queryAudit(folder, { kind: 'event', text: 'audit_repaired' })]).toEqual([]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 5 });
});

test.each([
  ['is no record', () => 'hello'],
  ['is not whole JSON', (line: string) => line.slice(0, -20)],
  ['has a number below that of its segment', (line: string) => line.replace(/\d+/, '0')],
])('a log whose last record %s is refused and left as it is', async (_, change) => {
  const { folder, path } = await writeCall();
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.splice(-2, 1, change(lines.at(-2)!));
  writeFileSync(path, lines.join('\n') + 'torn');
  const before = readFileSync(path);

  expect(() => AuditLog.open({ folder })).toThrow(StateError);
  expect(() => AuditLog.open({ folder })).toThrow(/last record of .*jsonl cannot be read.*backup/);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a log of a newer version is refused with both versions named, by all who open it', async () => {
  const { folder, path } = await writeCall();
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, `${text}{"seq":4,"v":99,"something":"else"}\n`);
  const message = /jsonl has version 99, this program knows version 1 at most/;

  for (const open of [() => AuditLog.open({ folder }), () => [...queryAudit(folder)], () => verifyAudit(folder)]) {
    expect(open).toThrow(StateError);
    expect(open).toThrow(message);
    expect(open).toThrow(expect.objectContaining({ reason: 'newer' }) as Error);
  }
});

test('a folder that others can read is made private', async () => {
  const { folder } = await writeCall();
  chmodSync(folder, 0o755);

  openLog({ folder });

  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test(`${IN_FLIGHT} calls in flight are carried over in one record`, async () => {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: 50 * IN_FLIGHT }) });
  const intent = intentOf(makeCall(), makeContext());
  const count = IN_FLIGHT;
  for (let index = 0; index < count; index += 1) void log.append({ ...intent, call: `call-${index}` });
  await log.append(eventOf('last'));
  log.close();
  const { length } = storedCalls(folder);

  openLog({ folder });

  expect(length).toBe(count);
  expect(storedCalls(folder)).toHaveLength(2 * count);
  expect(Math.max(...storedLines(folder).map((line) => line.length))).toBeGreaterThan(10 * IN_FLIGHT);
  expect(verifyAudit(folder)).toMatchObject({ ok: true });
});
