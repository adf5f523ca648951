// Imports the log of earlier versions, which was a database: the same records, byte for byte, become segments.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Bounds } from '../core/bounds/bounds.ts';
import { openDatabase, type Database } from '../storage/database.ts';
import type { Migration } from '../storage/migrations.ts';
import { StateError } from '../storage/state-error.ts';
import { SegmentFile } from './segment-file.ts';
import { segmentAt } from './segments.ts';

/** The table of that database that is read. A database whose process was killed while creating it gets the table, and has no records. */
const VERSION_1: Migration = 'CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT';

/**
 * Makes segments of the database beside the folder, FOLDER.db, if there is one, and renames it to FOLDER.db.v1.bak. The process may be
 * killed at any moment: it makes the segments in FOLDER.import, and renames that to FOLDER only after it has renamed the database.
 * Throws StateError.
 */
export function importDatabase(folder: string, bounds: Bounds): void {
  const file = `${folder}.db`;
  const partial = `${folder}.import`;
  if (existsSync(file)) {
    refuseSecond([folder, `${file}.v1.bak`], file);
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { mode: 0o700 });
    readRecords(file, (bodies) => writeSegments(bodies, partial, bounds));
    renameSync(file, `${file}.v1.bak`);
  }
  if (existsSync(partial)) renameSync(partial, folder);
}

/** Where both are there, an older version ran after this one: their records have the same numbers, so one log cannot hold both. */
function refuseSecond(imported: readonly string[], file: string): void {
  const other = imported.find((path) => existsSync(path));
  if (other === undefined) return;
  throw new StateError(
    `${file} cannot be taken over, because ${other} is there: an older version ran after it had been taken over before. Move one of them away.`,
  );
}

function readRecords(file: string, write: (bodies: Iterable<string>) => void): void {
  const db = openDatabase(file, { migrations: [VERSION_1], synchronous: 'NORMAL' });
  try {
    write(db.prepare<[], string>('SELECT body FROM records ORDER BY seq').pluck().iterate());
    emptyJournal(db, file);
  } finally {
    db.close();
  }
}

/** The backup is the file without its journal, so every record must be in the file. */
function emptyJournal(db: Database, file: string): void {
  const [state] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (state?.busy !== 0) throw new StateError(`${file} is being read by another process. End it, and start again.`);
}

/** Counts the records for the names of the segments; `audit verify` reports records whose own numbers differ. */
function writeSegments(bodies: Iterable<string>, folder: string, bounds: Bounds): void {
  let file: SegmentFile | undefined;
  let seq = 0;
  try {
    for (const body of bodies) {
      if (seq % bounds.auditImportBatch === 0) file?.commit();
      seq += 1;
      if (file === undefined || file.size >= bounds.auditSegment) {
        file?.close();
        file = SegmentFile.create(segmentAt(folder, seq));
      }
      file.put(body);
    }
    file?.commit();
  } finally {
    file?.close();
  }
}
