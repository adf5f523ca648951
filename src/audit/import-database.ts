// Takes over the log of versions that kept it in a database: the same records, byte for byte, become segments.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { openDatabase, type Database } from '../storage/database.ts';
import type { Migration } from '../storage/migrations.ts';
import { StateError } from '../storage/state-error.ts';
import { SegmentFile } from './segment-file.ts';
import { segmentAt } from './segments.ts';

/** What of the schema of that database matters here. A database that was killed at its creation gets it, and has no records. */
const VERSION_1: Migration = 'CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT';
/** Records between two looks at the size of a segment. */
const COMMIT_EVERY = 64;

/**
 * Makes segments of the database beside the folder, FOLDER.db, if there is one, and keeps it as FOLDER.db.v1.bak. Can be killed at any
 * moment: the segments are made in a folder of their own, which takes its place only after the database has given it up.
 * Throws StateError.
 */
export function takeOverDatabase(folder: string, segmentBytes: number): void {
  const file = `${folder}.db`;
  const making = `${folder}.import`;
  if (existsSync(file)) {
    refuseSecond([folder, `${file}.v1.bak`], file);
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    readOut(file, (bodies) => writeSegments(bodies, { folder: making, segmentBytes }));
    renameSync(file, `${file}.v1.bak`);
  }
  if (existsSync(making)) renameSync(making, folder);
}

/** Where both are, an older version ran after this one: their records have the same numbers, so one log cannot hold both. */
function refuseSecond(taken: readonly string[], file: string): void {
  const other = taken.find((path) => existsSync(path));
  if (other === undefined) return;
  throw new StateError(
    `${file} cannot be taken over, because ${other} is there: an older version ran after it had been taken over before. Move one of them away.`,
  );
}

function readOut(file: string, take: (bodies: Iterable<string>) => void): void {
  const db = openDatabase(file, { migrations: [VERSION_1], synchronous: 'NORMAL' });
  try {
    take(db.prepare<[], string>('SELECT body FROM records ORDER BY seq').pluck().iterate());
    emptyJournal(db, file);
  } finally {
    db.close();
  }
}

/** The file is kept without its journal, so all must be in it. */
function emptyJournal(db: Database, file: string): void {
  const [state] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (state?.busy !== 0) throw new StateError(`${file} is being read by another process. End it, and start again.`);
}

/** Numbers are counted, and `audit verify` tells where those in the records differ. */
function writeSegments(bodies: Iterable<string>, options: { folder: string; segmentBytes: number }): void {
  let file: SegmentFile | undefined;
  let seq = 0;
  try {
    for (const body of bodies) {
      if (seq % COMMIT_EVERY === 0) file?.commit();
      seq += 1;
      if (file === undefined || file.size >= options.segmentBytes) {
        file?.close();
        file = SegmentFile.create(segmentAt(options.folder, seq));
      }
      file.put(body);
    }
    file?.commit();
  } finally {
    file?.close();
  }
}
