import { execFileSync } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { AuditLog, type AuditHealth } from '../../src/audit/audit-log.ts';
import { queryAudit } from '../../src/audit/query.ts';
import { eventOf, intentOf, outcomeOf } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { openDatabase, type Database } from '../../src/storage/database.ts';
import { AUDIT_MIGRATIONS } from '../../src/storage/migrations.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { ALLOWED, makeCall, makeReply, openLog } from './calls.ts';

const unavailable = expect.objectContaining({ name: 'GatewayError', code: 'audit_unavailable' }) as Error;
const intent = () => intentOf(makeCall(), ALLOWED, 'c');

/** A second connection to the file of a log, as an intruder or a test has it. */
function connect(file: string): Database {
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, synchronous: 'NORMAL' });
  onTestFinished(() => void db.close());
  return db;
}

function count(file: string): number {
  return connect(file).prepare<[], number>('SELECT count(*) FROM records').pluck().get()!;
}

test('a record is in the file, linked, when append resolves', async () => {
  const { log, file } = await openLog();

  await log.append(eventOf('start'));
  const seen = [count(file)];
  await log.append(intent());
  seen.push(count(file));

  expect(seen).toEqual([1, 2]);
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 2, first: { seq: 1 }, last: { seq: 2 } });
});

test('records of one turn of the event loop share one commit, those of another do not', async () => {
  const { log } = await openLog();

  const first = log.append(intent());
  const second = log.append(intent());
  await first;
  const third = log.append(intent());

  expect(second).toBe(first);
  expect(third).not.toBe(first);
  await third;
});

test('records are kept in the order in which they were appended', async () => {
  const { log, file } = await openLog();

  const appended: Promise<void>[] = [];
  for (let index = 0; index < 500; index += 1) {
    appended.push(log.append(eventOf(`e${index}`)));
    if (index % 7 === 0) await appended.at(-1);
  }
  await Promise.all(appended);

  const names = [...queryAudit(file, { kind: 'event' })].map((row) => row.kind === 'event' && row.event);
  expect(names.reverse()).toEqual(Array.from({ length: 500 }, (_, index) => `e${index}`));
});

test('a log that is opened again goes on with the same chain', async () => {
  const file = join(temporaryFolder(), 'audit.db');
  for (const name of ['a', 'b', 'c']) {
    const { log } = await openLog({ file });
    await log.append(eventOf(name));
    await log.close();
  }

  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 3 });
});

test('close commits what waits, and refuses what comes later', async () => {
  const { log, file } = await openLog();
  const waiting = log.append(intent());
  const more = log.append(intent());

  await log.close();

  await expect(Promise.all([waiting, more])).resolves.toHaveLength(2);
  await expect(log.append(intent())).rejects.toEqual(unavailable);
  expect(count(file)).toBe(2);
});

test('rows cannot be changed or deleted through the database', async () => {
  const { log, file } = await openLog();
  await log.append(intent());
  const db = connect(file);

  expect(() => db.exec("UPDATE records SET body = 'x'")).toThrow(/append-only/);
  expect(() => db.exec('DELETE FROM records')).toThrow(/append-only/);
});

test('more records than may wait are refused at once, and the log goes on', async () => {
  const { log, file } = await openLog({ maxQueued: 3 });

  const results = await Promise.allSettled(Array.from({ length: 5 }, () => log.append(intent())));

  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
  expect(results[3]).toMatchObject({ reason: unavailable });
  await log.append(intent());
  expect(count(file)).toBe(4);
  expect(log.health()).toEqual({ writable: true, queued: 0 });
});

test('a batch that cannot be committed is refused whole, leaves the chain, and the log resumes by itself', async () => {
  const health: AuditHealth[] = [];
  const resumed = Promise.withResolvers<undefined>();
  const { log, file } = await openLog({
    onHealth: (now) => {
      health.push(now);
      if (now.writable) resumed.resolve(undefined);
    },
  });
  await log.append(eventOf('start'));
  const db = connect(file);
  // The second record of the batch fails, after the first has been written inside the transaction.
  db.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON records WHEN NEW.seq > 2 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
  );

  const results = await Promise.allSettled([log.append(intent()), log.append(intent())]);

  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(log.health()).toEqual({ writable: false, error: 'disk on fire', queued: 0 });
  expect(count(file)).toBe(1);
  db.exec('DROP TRIGGER broken');
  await resumed.promise;
  expect(health.map(({ writable }) => writable)).toEqual([false, true]);
  await log.append(intent());
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 3 });
  expect([...queryAudit(file, { kind: 'event', text: 'disk on fire' })]).toMatchObject([{ event: 'audit_resumed' }]);
});

test('a call whose outcome could not be written gets one of status unknown as soon as it can', async () => {
  const { log, file } = await openLog();
  const call = makeCall();
  await log.append(intentOf(call, ALLOWED, 'c'));
  const db = connect(file);
  db.exec("CREATE TRIGGER broken BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no'); END");
  await expect(log.append(outcomeOf(call, makeReply()))).rejects.toEqual(unavailable);
  expect([...queryAudit(file)]).toMatchObject([{ call: call.id, status: 'in flight' }]);
  db.exec('DROP TRIGGER broken');

  await log.append(eventOf('later'));

  expect([...queryAudit(file)]).toMatchObject([{ call: call.id, status: 'unknown', error: 'interrupted' }]);
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 3 });
});

test('calls that a dead process left open get an outcome of status unknown on the next open, once', async () => {
  const file = join(temporaryFolder(), 'audit.db');
  const first = await openLog({ file });
  const calls = Array.from({ length: 3 }, () => makeCall());
  await Promise.all(calls.map((call) => first.log.append(intentOf(call, ALLOWED, 'c'))));
  await first.log.append(outcomeOf(calls[1]!, makeReply()));
  await first.log.close();

  for (const expected of [6, 6]) {
    const { log } = await openLog({ file });
    expect(count(file)).toBe(expected);
    await log.close();
  }

  const rows = [...queryAudit(file)].map((row) => row.kind === 'call' && row.status);
  expect(rows).toEqual(['unknown', 'ok', 'unknown']);
  expect(verifyAudit(file).ok).toBe(true);
});

test('a call that stays open over thousands of records is still found after a crash', async () => {
  const file = join(temporaryFolder(), 'audit.db');
  const first = await openLog({ file });
  const parked = makeCall();
  await first.log.append(intentOf(parked, ALLOWED, 'c'));
  for (let batch = 0; batch < 5; batch += 1) {
    await Promise.all(Array.from({ length: 1_100 }, () => first.log.append(eventOf('other'))));
  }
  await first.log.close();
  expect(connect(file).prepare('SELECT count(*) FROM marks').pluck().get()).toBeGreaterThan(2);

  await openLog({ file });

  expect([...queryAudit(file)]).toMatchObject([{ call: parked.id, status: 'unknown' }]);
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 5_502 });
});

test('a writer that does not answer is given up after the deadline, and what it commits late is not called', async () => {
  const { log, file } = await openLog({ deadline: 300 });
  const call = makeCall();
  const db = connect(file);
  // Another writer holds the lock; the one of the log waits for it inside SQLite.
  db.exec('BEGIN IMMEDIATE');

  await expect(log.append(intentOf(call, ALLOWED, 'c'))).rejects.toEqual(unavailable);
  await expect(log.append(intent())).rejects.toThrow('does not answer');
  expect(log.health()).toMatchObject({ writable: false });
  db.exec('ROLLBACK');

  await expect.poll(() => log.health().writable, { timeout: 10_000 }).toBe(true);
  await log.append(eventOf('later'));
  expect([...queryAudit(file)]).toMatchObject([{ call: call.id, status: 'unknown' }]);
  expect(verifyAudit(file).ok).toBe(true);
});

test('a writer that dies leaves nobody waiting, and nothing is accepted after it', async () => {
  const workers: Worker[] = [];
  const onWorker = (message: unknown): void => void workers.push((message as { worker: Worker }).worker);
  diagnostics.subscribe('worker_threads', onWorker);
  onTestFinished(() => void diagnostics.unsubscribe('worker_threads', onWorker));
  const health: AuditHealth[] = [];
  const { log } = await openLog({ onHealth: (now) => health.push(now) });

  const pending = log.append(intent());
  const ended = workers[0]!.terminate();

  await expect(pending).rejects.toEqual(unavailable);
  await ended;
  await expect(log.append(intent())).rejects.toThrow('its writer ended');
  expect(health).toMatchObject([{ writable: false, error: 'its writer ended' }]);
  await log.close();
});

test('a file of a newer version is refused', async () => {
  const file = join(temporaryFolder(), 'audit.db');
  const db = connect(file);
  db.pragma('user_version = 99');

  const opened = AuditLog.open({ file });

  await expect(opened).rejects.toThrow(StateError);
  await expect(opened).rejects.toThrow(/version 99, this program knows version \d+ at most/);
  await expect(opened).rejects.toMatchObject({ reason: 'newer' });
});

test('two readers read while records are written', async () => {
  const { log, file } = await openLog();
  await Promise.all(Array.from({ length: 3_000 }, () => log.append(intent())));
  const readers = [queryAudit(file), queryAudit(file)];
  const seen = readers.map((reader) => (reader.next().done === true ? 0 : 1));

  await Promise.all(Array.from({ length: 3_000 }, () => log.append(intent())));

  readers.forEach((reader, index) => {
    for (const row of reader) seen[index]! += row.kind === 'call' ? 1 : 0;
  });
  expect(seen).toEqual([3_000, 3_000]);
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 6_000 });
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
  const { log, file } = await openLog({ file: join(disk, 'audit.db') });
  const ballast = join(disk, 'ballast');
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - 200_000)));
  const acknowledged: string[] = [];
  let failure: unknown;
  while (failure === undefined) {
    const call = makeCall();
    await log.append(intentOf(call, ALLOWED, 'c')).then(
      () => acknowledged.push(call.id),
      (error: unknown) => (failure = error),
    );
  }

  expect(failure).toEqual(unavailable);
  expect(log.health().error).toContain('disk is full');
  expect(log.health().writable).toBe(false);
  expect(acknowledged.length).toBeGreaterThan(10);
  rmSync(ballast);
  const last = makeCall();
  await log.append(intentOf(last, ALLOWED, 'c'));

  const stored = [...queryAudit(file)].map((row) => (row.kind === 'call' ? row.call : ''));
  expect(stored.reverse()).toEqual([...acknowledged, last.id]);
  expect(verifyAudit(file).ok).toBe(true);
  expect(log.health().writable).toBe(true);
});
