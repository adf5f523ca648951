import { copyFileSync, openSync, closeSync, writeSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf, prefixOf } from '../../src/audit/chain.ts';
import { eventOf, intentOf } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { openDatabase, type Database } from '../../src/storage/database.ts';
import { AUDIT_MIGRATIONS } from '../../src/storage/migrations.ts';
import { temporaryFolder } from '../storage/temporary.ts';
import { ALLOWED, makeCall, openLog } from './calls.ts';

const RECORDS = 40;

async function writeLog(records = RECORDS): Promise<string> {
  const { log, file } = await openLog();
  await Promise.all(Array.from({ length: records }, () => log.append(intentOf(makeCall(), ALLOWED, 'c'))));
  await log.close();
  return file;
}

/** Does what someone with the file can do, once the triggers are out of the way. */
function tamper(file: string, change: (db: Database) => void): void {
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, synchronous: 'NORMAL' });
  db.exec('DROP TRIGGER IF EXISTS records_are_never_changed; DROP TRIGGER IF EXISTS records_are_never_deleted');
  change(db);
  db.close();
}

const insertCopy = 'INSERT INTO records SELECT ?, time, kind, call, body, hash FROM records WHERE seq = ?';

interface Attack {
  readonly name: string;
  readonly seq: number;
  readonly change: (db: Database, seq: number) => void;
  /** The record that the check must name. */
  readonly found: (seq: number) => number;
}

const attacks: Omit<Attack, 'seq'>[] = [
  {
    name: 'edit',
    change: (db, seq) => db.prepare("UPDATE records SET body = replace(body, 'local', 'lokal') WHERE seq = ?").run(seq),
    found: (seq) => seq,
  },
  {
    name: 'edit of bytes that are no text',
    change: (db, seq) =>
      db.prepare("UPDATE records SET body = CAST(CAST(body AS BLOB) || x'ff' AS TEXT) WHERE seq = ?").run(seq),
    found: (seq) => seq,
  },
  {
    name: 'edit of the time column',
    change: (db, seq) => db.prepare('UPDATE records SET time = time + 1 WHERE seq = ?').run(seq),
    found: (seq) => seq,
  },
  {
    name: 'edit of the kind column',
    change: (db, seq) => db.prepare("UPDATE records SET kind = 'event' WHERE seq = ?").run(seq),
    found: (seq) => seq,
  },
  {
    name: 'edit of the call column',
    change: (db, seq) => db.prepare("UPDATE records SET call = 'x' WHERE seq = ?").run(seq),
    found: (seq) => seq,
  },
  {
    name: 'edit of the hash',
    change: (db, seq) => db.prepare('UPDATE records SET hash = ? WHERE seq = ?').run('f'.repeat(64), seq),
    found: (seq) => seq,
  },
  {
    name: 'delete',
    change: (db, seq) => db.prepare('DELETE FROM records WHERE seq = ?').run(seq),
    found: (seq) => seq,
  },
  {
    name: 'delete with the gap closed',
    change: (db, seq) => {
      db.prepare('DELETE FROM records WHERE seq = ?').run(seq);
      db.exec(`UPDATE records SET seq = -seq WHERE seq > ${seq}; UPDATE records SET seq = -seq - 1 WHERE seq < 0`);
    },
    found: (seq) => seq,
  },
  {
    name: 'edit with a new hash',
    change: (db, seq) => {
      const body = db
        .prepare<[number], string>('SELECT body FROM records WHERE seq = ?')
        .pluck()
        .get(seq)!
        .replace('local', 'lokal');
      db.prepare('UPDATE records SET body = ?, hash = ? WHERE seq = ?').run(body, hashOf(body), seq);
    },
    found: (seq) => seq + 1,
  },
  {
    name: 'swap with the next',
    change: (db, seq) => {
      db.exec(`UPDATE records SET seq = -1 WHERE seq = ${seq}; UPDATE records SET seq = ${seq} WHERE seq = ${seq + 1}`);
      db.exec(`UPDATE records SET seq = ${seq + 1} WHERE seq = -1`);
    },
    found: (seq) => seq,
  },
  {
    name: 'copy to the end',
    change: (db, seq) => db.prepare(insertCopy).run(RECORDS + 1, seq),
    found: () => RECORDS + 1,
  },
  { name: 'copy before the first', change: (db, seq) => db.prepare(insertCopy).run(-5, seq), found: () => -5 },
  {
    name: 'copy far beyond the end',
    change: (db, seq) => db.prepare(insertCopy).run(1_000_000, seq),
    found: () => RECORDS + 1,
  },
];

test('every edit, deletion, insertion, move and copy is found, and the record named', async () => {
  const original = await writeLog();
  const folder = temporaryFolder();
  let run = 0;

  fc.assert(
    fc.property(
      fc.constantFrom(...attacks),
      fc.integer({ min: 1, max: RECORDS - 1 }),
      ({ name, change, found }, seq) => {
        const file = join(folder, `${(run += 1)}.db`);
        copyFileSync(original, file);
        tamper(file, (db) => change(db, seq));

        const { ok, problem } = verifyAudit(file);

        expect({ name, ok, seq: problem?.seq }).toEqual({ name, ok: false, seq: found(seq) });
        expect(problem?.message).toMatch(/\w+ \w+/);
      },
    ),
    { numRuns: 120, examples: attacks.map((attack) => [attack, 7]) },
  );
});

test('a log that nobody touched is whole, and its ends are named', async () => {
  const file = await writeLog();

  const found = verifyAudit(file);

  expect(found).toMatchObject({ ok: true, records: RECORDS, first: { seq: 1 }, last: { seq: RECORDS } });
  expect(found.last?.hash).toMatch(/^[0-9a-f]{64}$/);
});

test('an empty log is whole', async () => {
  const file = await writeLog(0);

  expect(verifyAudit(file)).toEqual({ ok: true, records: 0 });
});

test('the begin of the stored bytes is fixed, so that records of this version always verify', () => {
  expect(prefixOf(7, 'ab')).toBe('{"seq":7,"v":1,"prev":"ab",');
  expect(hashOf('{"seq":1}')).toBe('b41e95c43f388d561b146326d84e3a6b9e31c4ef32ab97c04774c31aada3246a');
});

/** Enough records that the writer has left marks. */
async function writeMarkedLog(): Promise<string> {
  const { log, file } = await openLog();
  for (let batch = 0; batch < 5; batch += 1) {
    await Promise.all(Array.from({ length: 1_100 }, () => log.append(eventOf('e'))));
  }
  await log.close();
  return file;
}

test('an end that was cut off is found as far as the marks reach', async () => {
  const file = await writeMarkedLog();
  tamper(file, (db) => db.exec('DELETE FROM records WHERE seq > 1500'));

  expect(verifyAudit(file)).toMatchObject({ ok: false, records: 1500, problem: { seq: 1501 } });
});

test('a mark that would hide records from searches by time is found', async () => {
  const file = await writeMarkedLog();
  expect(verifyAudit(file)).toMatchObject({ ok: true, records: 5_500 });
  tamper(file, (db) => db.exec('UPDATE marks SET latest = earliest - 1 WHERE seq = (SELECT max(seq) FROM marks)'));

  expect(verifyAudit(file)).toMatchObject({
    ok: false,
    problem: { message: expect.stringContaining('searches by time') as string },
  });
});

test('a damaged database is reported, not thrown', async () => {
  const file = await writeMarkedLog();
  const size = statSync(file).size;
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(8_192, 0xa5), 0, 8_192, Math.floor(size / 2 / 4_096) * 4_096);
  closeSync(handle);

  const found = verifyAudit(file);

  expect(found.ok).toBe(false);
  expect(found.problem?.seq).toBeGreaterThan(1);
});
