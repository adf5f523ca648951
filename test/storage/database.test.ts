import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { STATE_MIGRATIONS } from '../../src/storage/migrations.ts';
import { StateError } from '../../src/storage/state-error.ts';
import { temporaryFolder } from './temporary.ts';

const FIRST = 'CREATE TABLE a (x INTEGER) STRICT';
const SECOND = 'ALTER TABLE a ADD COLUMN y INTEGER';
const normal = { migrations: [FIRST], synchronous: 'NORMAL' } as const;
const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);

test('every pragma is in force on the first open and on every later one', () => {
  const file = join(temporaryFolder(), 'a.db');
  const pragmas = ['journal_mode', 'synchronous', 'busy_timeout', 'foreign_keys', 'trusted_schema', 'cell_size_check'];

  const seen = [1, 2].map(() => {
    const db = openDatabase(file, { ...normal, synchronous: 'FULL' });
    const values = pragmas.map((name) => db.pragma(name, { simple: true }));
    db.close();
    return values;
  });

  expect(seen).toEqual([
    ['wal', 2, 5000, 1, 0, 1],
    ['wal', 2, 5000, 1, 0, 1],
  ]);
});

test('the file and its companions are private, also when the file was not', () => {
  const file = join(temporaryFolder(), 'a.db');
  writeFileSync(file, '');
  chmodSync(file, 0o644);

  const db = openDatabase(file, normal);
  db.exec('INSERT INTO a VALUES (1)');

  expect([file, `${file}-wal`, `${file}-shm`].map(modeOf)).toEqual(['600', '600', '600']);
  db.close();
});

test('a newer file is refused with both versions named, and stays as it is', () => {
  const file = join(temporaryFolder(), 'a.db');
  openDatabase(file, { ...normal, migrations: [FIRST, SECOND] }).close();
  const before = readFileSync(file);

  const open = () => openDatabase(file, normal);

  expect(open).toThrow(StateError);
  expect(open).toThrow(/a\.db has version 2, this program knows version 1 at most/);
  expect(open).toThrow(expect.objectContaining({ reason: 'newer', exitCode: 8 }));
  expect(readFileSync(file)).toEqual(before);
});

test('an older file is backed up as it was, privately, and then migrated with its rows', () => {
  const file = join(temporaryFolder(), 'a.db');
  const old = openDatabase(file, normal);
  old.exec('INSERT INTO a VALUES (7)');
  old.close();

  const db = openDatabase(file, { ...normal, migrations: [FIRST, SECOND] });

  expect(db.prepare('SELECT x, y FROM a').all()).toEqual([{ x: 7, y: null }]);
  db.close();
  expect(modeOf(`${file}.v1.bak`)).toBe('600');
  const backup = openDatabase(`${file}.v1.bak`, normal);
  expect(backup.prepare('SELECT * FROM a').all()).toEqual([{ x: 7 }]);
  backup.close();
});

test('a new file is not backed up', () => {
  const file = join(temporaryFolder(), 'a.db');

  openDatabase(file, { ...normal, migrations: [FIRST, SECOND] }).close();

  expect(existsSync(`${file}.v0.bak`)).toBe(false);
});

test('a step that fails leaves the version before it', () => {
  const file = join(temporaryFolder(), 'a.db');
  openDatabase(file, normal).close();

  expect(() => openDatabase(file, { ...normal, migrations: [FIRST, `${SECOND}; nonsense`] })).toThrow(StateError);

  const db = openDatabase(file, normal);
  expect(db.pragma('user_version', { simple: true })).toBe(1);
  expect(db.prepare('SELECT * FROM a').columns()).toHaveLength(1);
  db.close();
});

test('a file that is no database is refused with what to do', () => {
  const file = join(temporaryFolder(), 'a.db');
  writeFileSync(file, 'this is no database, it only says so in many words'.repeat(100));

  expect(() => openDatabase(file, normal)).toThrow(/Cannot open .*a\.db: .*not a database\. Move the file away/);
});

test('reading needs a file, and one of this version', () => {
  const file = join(temporaryFolder(), 'a.db');
  const read = { ...normal, readonly: true };
  expect(() => openDatabase(file, read)).toThrow(/does not exist: no gateway has run/);
  expect(existsSync(file)).toBe(false);

  openDatabase(file, normal).close();

  expect(() => openDatabase(file, { ...read, migrations: [FIRST, SECOND] })).toThrow(
    /has version 1, this program reads version 2/,
  );
  const db = openDatabase(file, read);
  expect(() => db.exec('INSERT INTO a VALUES (1)')).toThrow(/readonly/);
  db.close();
});

test('a reader sees what a writer in the same moment commits', () => {
  const file = join(temporaryFolder(), 'a.db');
  const writer = openDatabase(file, normal);
  const reader = openDatabase(file, { ...normal, readonly: true });

  writer.exec('INSERT INTO a VALUES (1)');

  expect(reader.prepare('SELECT x FROM a').pluck().all()).toEqual([1]);
  reader.close();
  writer.close();
});

test('exposed names are kept apart without regard to letter case', () => {
  const db = openDatabase(join(temporaryFolder(), 'state.db'), { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
  const insert = db.prepare('INSERT INTO names VALUES (?, ?, ?, ?)');
  insert.run('tool', 'a', 'echo', 'a__echo');
  insert.run('prompt', 'a', 'echo', 'a__echo');

  expect(() => insert.run('tool', 'b', 'echo', 'A__Echo')).toThrow(/UNIQUE/);
  expect(() => insert.run('tool', 'a', 'echo', 'other')).toThrow(/UNIQUE/);
  db.close();
});

test('the native module is loaded by opening a file, not by importing', () => {
  const storage = new URL('../../src/storage/', import.meta.url).href;
  const script = `
    import { createRequire } from 'node:module';
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('better-sqlite3'));
    const { openDatabase } = await import('${storage}database.ts');
    await import('${storage}state-directory.ts');
    await import('${storage}../audit/audit-log.ts');
    const before = loaded();
    openDatabase(process.argv[1], { migrations: [], synchronous: 'NORMAL' }).close();
    process.stdout.write(JSON.stringify([before, loaded()]));
  `;

  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script, join(temporaryFolder(), 'a.db')]);

  expect(JSON.parse(output.toString())).toEqual([false, true]);
});
