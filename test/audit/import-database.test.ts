import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { queryAudit } from '../../src/audit/query.ts';
import { type AuditRecord, encodeRecord, eventOf, intentOf } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { boundsWith } from '../../src/core/bounds/bounds.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { makeCall, makeContext, openLog } from './calls.ts';
import { segmentPaths, storedLines } from './segment-text.ts';
import { GENESIS, hashOf, prefixOf } from '../../src/audit/segment-file.ts';

/** What the version before wrote. */
const SCHEMA = `
  CREATE TABLE records (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, call TEXT, body TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE TABLE marks (seq INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER NOT NULL) STRICT;
  CREATE TABLE pending (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, calls TEXT NOT NULL) STRICT;
  CREATE TRIGGER records_are_never_changed BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END;
`;

/** A database with records, and the folder that takes its place. */
function writeDatabase(records: readonly AuditRecord[]): { folder: string; bodies: string[] } {
  const folder = join(temporaryFolder(), 'audit');
  const db = openDatabase(`${folder}.db`, { migrations: [SCHEMA], synchronous: 'NORMAL' });
  const insert = db.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)');
  let previous = GENESIS;
  const bodies = records.map((record, index) => {
    const body = prefixOf(index + 1, previous) + encodeRecord(record);
    previous = hashOf(body);
    insert.run(index + 1, record.time, record.kind, record.kind === 'event' ? null : record.call, body, previous);
    return body;
  });
  db.close();
  return { folder, bodies };
}

const someRecords = (count: number): AuditRecord[] =>
  Array.from({ length: count }, (_, index) =>
    index === 3 ? intentOf(makeCall({ id: 'open' }), makeContext()) : eventOf('e', { note: `Straße ${index}` }),
  );

test('the log of an earlier version is taken over byte for byte, the chain goes on, and the file is kept', async () => {
  const { folder, bodies } = writeDatabase(someRecords(1_000));

  const { log } = openLog({ folder, bounds: boundsWith({ auditSegment: 20_000 }) });
  await log.append(eventOf('new'));

  expect(storedLines(folder).slice(0, bodies.length)).toEqual(bodies);
  expect(segmentPaths(folder).length).toBeGreaterThan(5);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: storedLines(folder).length });
  expect([...queryAudit(folder)]).toMatchObject([{ call: 'open', status: 'unknown' }]);
  expect(existsSync(`${folder}.db`)).toBe(false);
  const kept = openDatabase(`${folder}.db.v1.bak`, { migrations: [''], readonly: true, synchronous: 'NORMAL' });
  expect(kept.prepare('SELECT count(*) FROM records').pluck().get()).toBe(1_000);
  kept.close();
});

test('it is taken over once', async () => {
  const { folder } = writeDatabase(someRecords(10));
  openLog({ folder }).log.close();
  const before = storedLines(folder);

  openLog({ folder });

  expect(storedLines(folder)).toEqual(before);
  // what was taken over says nothing of calls in flight, so the log went on in a segment that does
  expect(segmentPaths(folder)).toHaveLength(2);
  expect(JSON.parse(before[10]!)).toMatchObject({ event: 'segment_started', detail: { calls: ['open'] } });
});

test('a log without records is taken over too', async () => {
  const { folder } = writeDatabase([]);

  const { log } = openLog({ folder });
  await log.append(eventOf('first'));

  expect(verifyAudit(folder)).toMatchObject({ ok: true, records: 2 });
});

test('killed in the middle it begins anew, killed at the end it ends', () => {
  const { folder, bodies } = writeDatabase(someRecords(10));
  mkdirSync(`${folder}.import`);
  openLog({ folder }).log.close();
  expect(storedLines(folder).slice(0, 10)).toEqual(bodies);

  // as it is between its last two steps
  renameSync(folder, `${folder}.import`);
  openLog({ folder }).log.close();
  expect(storedLines(folder).slice(0, 10)).toEqual(bodies);
  expect(existsSync(`${folder}.import`)).toBe(false);
});

test('a record that was changed in the database is found after it was taken over', () => {
  const { folder } = writeDatabase(someRecords(10));
  const db = openDatabase(`${folder}.db`, { migrations: [''], synchronous: 'NORMAL' });
  db.exec(
    "DROP TRIGGER records_are_never_changed; UPDATE records SET body = replace(body, 'Straße', 'Weg') WHERE seq = 5",
  );
  db.close();

  openLog({ folder });

  expect(verifyAudit(folder)).toMatchObject({ ok: false, problem: { seq: 5 } });
});

test('a database of a newer version is refused and left as it is', () => {
  const { folder } = writeDatabase(someRecords(3));
  const db = openDatabase(`${folder}.db`, { migrations: [''], synchronous: 'NORMAL' });
  db.pragma('user_version = 99');
  db.close();
  const before = readFileSync(`${folder}.db`);

  expect(() => AuditLog.open({ folder })).toThrow(/audit\.db has version 99, this program knows version 1 at most/);
  expect(readFileSync(`${folder}.db`).equals(before)).toBe(true);
  expect(existsSync(folder)).toBe(false);
});

test('a database beside segments is not silently put away: an older version wrote it meanwhile', () => {
  const { folder } = writeDatabase(someRecords(3));
  mkdirSync(folder);

  expect(() => AuditLog.open({ folder })).toThrow(StateError);
  expect(() => AuditLog.open({ folder })).toThrow(/audit\.db cannot be taken over.*Move one of them away/);
  expect(existsSync(`${folder}.db`)).toBe(true);
});

test('a database that somebody reads is not torn from its journal', () => {
  const { folder } = writeDatabase(someRecords(3));
  const reader = openDatabase(`${folder}.db`, { migrations: [''], synchronous: 'NORMAL' });
  reader.exec("INSERT INTO records VALUES (4, 0, 'event', NULL, 'x', 'x')");
  const rows = reader.prepare('SELECT * FROM records').iterate();
  rows.next();

  const open = () => AuditLog.open({ folder });

  expect(open).toThrow(/is being read by another process/);
  expect(existsSync(`${folder}.db`)).toBe(true);
  rows.return?.();
  reader.close();
}, 60_000);
