// Checks the chain: every hash over the stored bytes, every link, every number.
import { reasonOf } from '../core/errors.ts';
import { openDatabase, type Database } from '../storage/database.ts';
import { AUDIT_MIGRATIONS } from '../storage/migrations.ts';
import { GENESIS, hashOf, headOf, prefixOf } from './chain.ts';

/** A record by its number, its time (UTC ms) and its hash; the last one's, kept elsewhere, proves that nothing was cut off. */
export interface Endpoint {
  readonly seq: number;
  readonly time: number;
  readonly hash: string;
}

/** What a check of the whole log found. */
export interface Verification {
  readonly ok: boolean;
  /** Records that are as they were written, up to the first that is not. */
  readonly records: number;
  readonly first?: Endpoint;
  readonly last?: Endpoint;
  /** The first record that is not as it was written. */
  readonly problem?: { readonly seq: number; readonly message: string };
}

const PAGE = 2_000;

/** As the database gives it: one array a record, the body as bytes, since bytes are what was hashed. */
type Stored = [seq: number, time: number, kind: string, call: string | null, body: Buffer, hash: string];

/** Recomputes the chain from the first record. Runs beside the writer. Throws StateError when the file cannot be opened. */
export function verifyAudit(file: string): Verification {
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, readonly: true, synchronous: 'NORMAL' });
  const progress: Progress = { first: undefined, last: undefined };
  try {
    // The marks come first: a writer may add records meanwhile, and then marks, but never the other way round.
    const marks = marksOf(db);
    const problem = walk(db, progress, marks);
    return report(progress, problem);
  } catch (thrown) {
    const seq = nextOf(progress);
    return report(progress, { seq, message: `the database is damaged at or after this record: ${reasonOf(thrown)}` });
  } finally {
    db.close();
  }
}

interface Progress {
  first: Endpoint | undefined;
  last: Endpoint | undefined;
}

interface Problem {
  readonly seq: number;
  readonly message: string;
}

/** The range of times that a mark claims for the records up to it, since the mark before. */
interface Range {
  earliest: number;
  latest: number;
}

function walk(db: Database, progress: Progress, marks: ReadonlyMap<number, Range>): Problem | undefined {
  const page = db
    .prepare<[bigint], Stored>(
      `SELECT seq, time, kind, call, CAST(body AS BLOB), hash FROM records WHERE seq >= ? ORDER BY seq LIMIT ${PAGE}`,
    )
    .raw();
  // A forged record may have any number, also one below the first.
  let from = -(2n ** 63n);
  let range = emptyRange();
  for (;;) {
    const rows = page.all(from);
    for (const row of rows) {
      const problem = check(row, progress);
      if (problem !== undefined) return problem;
      const [seq, time, , , , hash] = row;
      progress.last = { seq, time, hash };
      progress.first ??= progress.last;
      widen(range, time);
      const claimed = marks.get(seq);
      if (claimed === undefined) continue;
      if (claimed.earliest > range.earliest || claimed.latest < range.latest) return { seq, message: FALSE_MARK };
      range = emptyRange();
    }
    if (rows.length < PAGE) return checkTail(progress, marks);
    from = BigInt(nextOf(progress));
  }
}

const FALSE_MARK =
  'the table of marks gives the records up to this one times that they do not have, which hides them from searches by time';

function check([seq, time, kind, call, body, hash]: Stored, progress: Progress): Problem | undefined {
  const expected = nextOf(progress);
  if (seq !== expected) {
    const message =
      seq > expected ? `it is missing; the next one that is there is ${seq}` : 'a record was put before the first';
    return { seq: seq > expected ? expected : seq, message };
  }
  if (hashOf(body) !== hash) return { seq, message: 'its content is not what was hashed when it was written' };
  const prefix = prefixOf(seq, progress.last?.hash ?? GENESIS);
  if (body.toString('latin1', 0, prefix.length) !== prefix) return { seq, message: explainLink(body, seq) };
  const head = headOf(body.toString('utf8', prefix.length, prefix.length + 512));
  if (head.time !== time || head.kind !== kind || head.call !== call) {
    return { seq, message: 'its columns do not say what its content says' };
  }
  return undefined;
}

function explainLink(body: Buffer, seq: number): string {
  const found = /^\{"seq":(\d+),/.exec(body.toString('latin1', 0, 32))?.[1];
  if (found !== undefined && Number(found) !== seq)
    return `it was written as record ${found}: records were moved, copied or removed`;
  return `it does not link to record ${seq - 1}: that one or this one was rewritten`;
}

/** Marks are only written for records that are there, so one beyond the end tells that the end was cut off. */
function checkTail(progress: Progress, marks: ReadonlyMap<number, Range>): Problem | undefined {
  const end = progress.last?.seq ?? 0;
  const beyond = Math.max(0, ...[...marks.keys()].slice(-1));
  return beyond > end
    ? { seq: end + 1, message: `it is missing, and so is all up to record ${beyond} at least` }
    : undefined;
}

function marksOf(db: Database): Map<number, Range> {
  const rows = db.prepare<[], Range & { seq: number }>('SELECT seq, earliest, latest FROM marks ORDER BY seq').all();
  return new Map(rows.map(({ seq, earliest, latest }) => [seq, { earliest, latest }]));
}

function report({ first, last }: Progress, problem: Problem | undefined): Verification {
  return {
    ok: problem === undefined,
    records: last?.seq ?? 0,
    ...(first && { first }),
    ...(last && { last }),
    ...(problem && { problem }),
  };
}

function nextOf(progress: Progress): number {
  return (progress.last?.seq ?? 0) + 1;
}

function emptyRange(): Range {
  return { earliest: Number.MAX_SAFE_INTEGER, latest: 0 };
}

function widen(range: Range, time: number): void {
  if (time < range.earliest) range.earliest = time;
  if (time > range.latest) range.latest = time;
}
