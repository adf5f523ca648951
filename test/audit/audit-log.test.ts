import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { AuditHealth } from '../../src/audit/audit-log.ts';
import { queryAudit } from '../../src/audit/query.ts';
import { eventOf, intentOf, outcomeOf } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { makeCall, makeContext, makeReply, openLog, settlementOf } from './calls.ts';
import { CAN_LIMIT, limitFileSize } from './file-limit.ts';
import { segmentPaths, storedCalls, storedLines } from './segment-text.ts';

const unavailable = expect.objectContaining({ name: 'GatewayError', code: 'audit_unavailable' }) as Error;
const intent = () => intentOf(makeCall(), makeContext());
const sizeOf = (folder: string) => statSync(segmentPaths(folder).at(-1)!).size;

/** What needs the path of the file is looked at no more often than every 10 ms. */
function letALookBeDue(): void {
  const later = performance.now() + 10;
  const clock = vi.spyOn(performance, 'now').mockReturnValue(later);
  onTestFinished(() => clock.mockRestore());
}

/** Everything that a log has beside what was put in: the record that its first segment begins with. */
const START = 1;

test('a record is in the file, linked, when append resolves', async () => {
  const { log, folder } = openLog();

  await log.append(eventOf('start'));
  const seen = [storedLines(folder).length];
  await log.append(intent());
  seen.push(storedLines(folder).length);

  expect(seen).toEqual([START + 1, START + 2]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 3, first: { seq: 1 }, last: { seq: 3 } });
});

test('nobody but the owner can read the log', async () => {
  const { log, folder } = openLog();
  await log.append(intent());

  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(segmentPaths(folder).map((path) => statSync(path).mode & 0o777)).toEqual([0o600]);
});

test('records of one turn of the event loop share one commit, those of another do not', async () => {
  const { log } = openLog();

  const first = log.append(intent());
  const second = log.append(intent());
  await first;
  const third = log.append(intent());

  expect(second).toBe(first);
  expect(third).not.toBe(first);
  await third;
});

test('a turn that brings more than a mebibyte does not keep it in memory', async () => {
  const { log, folder } = openLog();
  const big = 'x'.repeat(15_000);

  const appended = Array.from({ length: 200 }, () => log.append(eventOf('e', { big })));
  const stored = sizeOf(folder);
  await Promise.all(appended);

  expect(200 * big.length - stored).toBeLessThan(80 * big.length);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: START + 200 });
});

test('records are kept in the order in which they were appended, over many segments', async () => {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: 4_000 }) });

  const appended: Promise<void>[] = [];
  for (let index = 0; index < 500; index += 1) {
    appended.push(log.append(eventOf(`e${index}`)));
    if (index % 7 === 0) await appended.at(-1);
  }
  await Promise.all(appended);

  const names = [...queryAudit(folder, { kind: 'event' })].map((row) => row.kind === 'event' && row.event);
  expect(names.reverse().filter((name) => name !== 'segment_started')).toEqual(
    Array.from({ length: 500 }, (_, index) => `e${index}`),
  );
  const segments = segmentPaths(folder);
  expect(segments.length).toBeGreaterThan(10);
  for (const path of segments) {
    const first = JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!) as { seq: number; event: string };
    expect(path).toContain(`${String(first.seq).padStart(20, '0')}.jsonl`);
    expect(first.event).toBe('segment_started');
  }
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 500 + segments.length });
});

test('a log that is opened again goes on with the same chain in the same segment', async () => {
  const folder = join(temporaryFolder(), 'audit');
  for (const name of ['a', 'b', 'c']) {
    const { log } = openLog({ folder });
    await log.append(eventOf(name));
    log.close();
  }

  expect(segmentPaths(folder)).toHaveLength(1);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: START + 3 });
});

test('close commits what waits, and refuses what comes later', async () => {
  const { log, folder } = openLog();
  const waiting = log.append(intent());
  const more = log.append(intent());

  log.close();

  await expect(Promise.all([waiting, more])).resolves.toHaveLength(2);
  await expect(log.append(intent())).rejects.toEqual(unavailable);
  expect(log.health()).toEqual({ writable: false, error: 'it is closed' });
  expect(storedCalls(folder)).toHaveLength(2);
});

test.runIf(CAN_LIMIT)(
  'a batch of which only a part can be written is refused whole, leaves the chain, and the log resumes by itself',
  async () => {
    const health: AuditHealth[] = [];
    const resumed = Promise.withResolvers<undefined>();
    const { log, folder } = openLog({
      onHealth: (now) => {
        health.push(now);
        if (now.writable) resumed.resolve(undefined);
      },
    });
    await log.append(eventOf('start'));
    const before = readFileSync(segmentPaths(folder)[0]!);
    // room for the first record and a part of the second
    const lift = limitFileSize(before.length + 1_000);

    const results = await Promise.allSettled([log.append(intent()), log.append(intent())]);

    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(results[0]).toMatchObject({ reason: unavailable });
    expect(log.health()).toMatchObject({ writable: false, error: expect.stringContaining('EFBIG') as string });
    expect(readFileSync(segmentPaths(folder)[0]!).equals(before)).toBe(true);
    lift();
    await resumed.promise;
    expect(health.map(({ writable }) => writable)).toEqual([false, true]);
    await log.append(intent());
    expect(verifyAudit(folder)).toMatchObject({ ok: true, records: START + 3 });
    expect([...queryAudit(folder, { kind: 'event', text: 'EFBIG' })]).toMatchObject([{ event: 'audit_resumed' }]);
  },
);

test.runIf(CAN_LIMIT)('a new segment whose first batch fails stays empty and takes the next one', async () => {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: 1 }) });
  await log.append(eventOf('first'));
  const lift = limitFileSize(100);
  await expect(log.append(intent())).rejects.toEqual(unavailable);
  expect(sizeOf(folder)).toBe(0);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 2 });
  lift();

  await log.append(intent());

  expect(segmentPaths(folder)).toHaveLength(2);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 4 });
});

test.runIf(CAN_LIMIT)(
  'a call whose outcome could not be written gets one of status unknown as soon as it can',
  async () => {
    const { log, folder } = openLog();
    const call = makeCall();
    await log.append(intentOf(call, makeContext()));
    const lift = limitFileSize(sizeOf(folder));
    await expect(log.append(outcomeOf(call, settlementOf(makeReply())))).rejects.toEqual(unavailable);
    expect([...queryAudit(folder)]).toMatchObject([{ call: call.id, status: 'in flight' }]);
    lift();

    await log.append(eventOf('later'));

    expect([...queryAudit(folder)]).toMatchObject([{ call: call.id, status: 'unknown', error: 'interrupted' }]);
    expect(verifyAudit(folder)).toMatchObject({ ok: true, records: START + 3 });
  },
);

test('calls that a dead process left open get an outcome of status unknown on the next open, once', async () => {
  const folder = join(temporaryFolder(), 'audit');
  const first = openLog({ folder });
  const calls = Array.from({ length: 3 }, () => makeCall());
  await Promise.all(calls.map((call) => first.log.append(intentOf(call, makeContext()))));
  await first.log.append(outcomeOf(calls[1]!, settlementOf(makeReply())));
  first.log.close();

  for (const expected of [6, 6]) {
    const { log } = openLog({ folder });
    expect(storedCalls(folder)).toHaveLength(expected);
    log.close();
  }

  const rows = [...queryAudit(folder)].map((row) => row.kind === 'call' && row.status);
  expect(rows).toEqual(['unknown', 'ok', 'unknown']);
  expect(verifyAudit(folder).ok).toBe(true);
});

test('a call that stays open over many segments is found after a crash from the last of them alone', async () => {
  const folder = join(temporaryFolder(), 'audit');
  const first = openLog({ folder, bounds: boundsWith({ auditSegment: 20_000 }) });
  const parked = Array.from({ length: 1_000 }, () => makeCall());
  await Promise.all(parked.map((call) => first.log.append(intentOf(call, makeContext()))));
  for (let batch = 0; batch < 30; batch += 1) {
    await Promise.all(Array.from({ length: 100 }, () => first.log.append(eventOf('other'))));
  }
  first.log.close();
  const segments = segmentPaths(folder);
  expect(segments.length).toBeGreaterThan(10);
  const away = join(temporaryFolder(), 'away');
  mkdirSync(away);
  const older = segments.slice(0, -1).map((path, index) => ({ path, stored: join(away, String(index)) }));
  for (const { path, stored } of older) renameSync(path, stored);

  openLog({ folder });

  for (const { path, stored } of older) renameSync(stored, path);
  expect([...queryAudit(folder)].map((row) => row.kind === 'call' && [row.call, row.status])).toEqual(
    parked.map((call) => [call.id, 'unknown']).reverse(),
  );
  expect(verifyAudit(folder)).toMatchObject({ ok: true });
});

test('a segment that somebody takes away is noticed, never written over, and missing for whoever verifies', async () => {
  const { log, folder } = openLog();
  const call = makeCall();
  await log.append(intentOf(call, makeContext()));
  rmSync(segmentPaths(folder)[0]!);

  await log.append(outcomeOf(call, settlementOf(makeReply())));

  expect(log.health().writable).toBe(true);
  expect([...queryAudit(folder, { kind: 'event' })].map((row) => row.kind === 'event' && row.event)).toEqual([
    'segment_lost',
    'segment_started',
  ]);
  expect(verifyAudit(folder)).toMatchObject({ ok: false, problem: { seq: 1, message: /missing.*is 3$/ } });
});

test('a segment that somebody shortens is not gone on with', async () => {
  const { log, folder } = openLog();
  await log.append(intent());
  truncateSync(segmentPaths(folder)[0]!, 50);

  await log.append(intent());

  expect(segmentPaths(folder)).toHaveLength(2);
  expect(verifyAudit(folder)).toMatchObject({ ok: false, problem: { seq: 1 } });
});

test('a folder that was removed is made again before the next record, which says that the log was removed', async () => {
  const { log, folder } = openLog();
  const call = makeCall();
  await log.append(intentOf(call, makeContext()));
  for (let times = 0; times < 20; times += 1) {
    rmSync(folder, { recursive: true });

    await log.append(outcomeOf(call, settlementOf(makeReply())));

    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const [lost] = [...queryAudit(folder, { kind: 'event' })];
    expect(lost).toMatchObject({ event: 'segment_lost', detail: { why: 'it was removed' } });
    expect(segmentPaths(folder)).toHaveLength(1);
  }
});

test('a folder that was moved away is noticed, and the log goes on in its place', async () => {
  const { log, folder } = openLog();
  await log.append(intent());
  renameSync(folder, `${folder}.away`);
  letALookBeDue();

  await log.append(intent());

  const [lost] = [...queryAudit(folder, { kind: 'event' })];
  expect(lost).toMatchObject({ event: 'segment_lost', detail: { why: 'it was moved away' } });
  expect(log.health().writable).toBe(true);
});

test('a log whose folder belongs to another process writes nothing', async () => {
  let isOwned = true;
  const { log, folder } = openLog({ owner: { isHeld: () => isOwned } });
  await log.append(intent());
  const before = readFileSync(segmentPaths(folder)[0]!);
  isOwned = false;
  letALookBeDue();

  await expect(log.append(intent())).rejects.toThrow('may belong to another gateway');
  rmSync(folder, { recursive: true });
  await expect(log.append(intent())).rejects.toThrow('may belong to another gateway');

  expect(before.length).toBeGreaterThan(0);
  expect(existsSync(folder)).toBe(false);
});

test('a second writer is noticed by what it wrote, before anything is written behind it', async () => {
  const { log, folder } = openLog();
  await log.append(intent());
  const [path] = segmentPaths(folder);
  appendFileSync(path!, 'of another\n');

  await log.append(intent());

  expect(readFileSync(path!, 'utf8').endsWith('of another\n')).toBe(true);
  expect(segmentPaths(folder)).toHaveLength(2);
});

test('two readers read while records are written', async () => {
  const { log, folder } = openLog({ bounds: boundsWith({ auditSegment: 500_000 }) });
  await Promise.all(Array.from({ length: 3_000 }, () => log.append(intent())));
  const readers = [queryAudit(folder), queryAudit(folder)];
  const seen = readers.map((reader) => (reader.next().done === true ? 0 : 1));

  await Promise.all(Array.from({ length: 3_000 }, () => log.append(intent())));

  readers.forEach((reader, index) => {
    for (const row of reader) seen[index]! += row.kind === 'call' ? 1 : 0;
  });
  expect(seen).toEqual([3_000, 3_000]);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 6_000 + segmentPaths(folder).length });
});

/** A file system of one mebibyte; undefined where this user may not mount one. */
function smallDisk(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const path = join(temporaryFolder(), 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  onTestFinished(() => void execFileSync('umount', ['--lazy', path]));
  return path;
}

test('a full disk refuses records, loses none that was acknowledged, and space brings the log back', async (context) => {
  const disk = smallDisk();
  if (disk === undefined) {
    // an ordinary user's run goes on without it; where checks run as root, mounting must work
    if (process.getuid?.() === 0) throw new Error('a small file system cannot be mounted');
    context.skip('this user may not mount a small file system');
    return;
  }
  const { log, folder } = openLog({ folder: join(disk, 'audit'), bounds: boundsWith({ auditSegment: 50_000 }) });
  const ballast = join(disk, 'ballast');
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 200_000)));
  const acknowledged: string[] = [];
  let failure: unknown;
  while (failure === undefined) {
    const call = makeCall();
    await log.append(intentOf(call, makeContext())).then(
      () => acknowledged.push(call.id),
      (error: unknown) => (failure = error),
    );
  }

  expect(failure).toEqual(unavailable);
  expect(log.health().error).toContain('no space left');
  expect(log.health().writable).toBe(false);
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(verifyAudit(folder).ok).toBe(true);
  rmSync(ballast);
  const last = makeCall();
  await log.append(intentOf(last, makeContext()));

  const stored = [...queryAudit(folder)].map((row) => (row.kind === 'call' ? row.call : ''));
  expect(stored.reverse()).toEqual([...acknowledged, last.id]);
  expect(verifyAudit(folder).ok).toBe(true);
  expect(log.health().writable).toBe(true);
});
