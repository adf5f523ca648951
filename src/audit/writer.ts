// The one who writes: numbers records, links them, and commits them a batch at a time, in the writer thread.
import { openDatabase, type Database } from '../storage/database.ts';
import { AUDIT_MIGRATIONS } from '../storage/migrations.ts';
import { GENESIS, hashOf, headOf, prefixOf, type Head, type Link } from './chain.ts';
import { encodeRecord } from './encode.ts';

/** Records between two marks. */
const MARK_EVERY = 1024;
/** Calls that are followed from intent to outcome; beyond that the oldest is forgotten, and stays in flight in the log. */
const MAX_OPEN = 100_000;
/** Pages of the write-ahead log before it is copied into the file; many, because a page is rewritten many times meanwhile. */
const CHECKPOINT_PAGES = 4_000;
/** What the write-ahead log shrinks to when a slow reader has made it grow. */
const JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024;
/** Errors after which the same connection goes on as soon as the cause is gone. */
const PASSING = /^SQLITE_(FULL|BUSY)/;

/** Writes the chain. Its methods are synchronous and throw what SQLite says. */
export class AuditWriter {
  readonly #file: string;
  #connection: Connection | undefined;
  #last: Link = { seq: 0, hash: GENESIS };
  /** Calls with an intent and no outcome, oldest first. */
  readonly #open = new Set<string>();
  /** Those of them that will get no outcome of their own. */
  readonly #owed = new Set<string>();
  /** What the next mark will say. */
  #run = emptyRun();

  /** Opens the log and ends the calls that an earlier process left open. Throws StateError. */
  constructor(file: string) {
    this.#file = file;
    this.#connection = this.#connect();
    this.#recover(this.#connection);
  }

  /**
   * Commits encoded records in one transaction. When it throws, nothing of the chain has advanced; the outcomes that were lost are
   * made good by ones of status `unknown` in the next batch that succeeds.
   */
  write(lines: readonly string[]): void {
    try {
      this.#connection ??= this.#connect();
      const heads = this.#commit(this.#connection, lines);
      for (const head of heads) this.#follow(head);
    } catch (thrown) {
      for (const line of lines) this.#oweOutcome(headOf(line));
      this.#rollBack(thrown);
      throw thrown;
    }
  }

  /** Says that nobody waited any longer for these committed records: the calls that they announce will not run. */
  abandon(lines: readonly string[]): void {
    for (const line of lines) {
      const { kind, call } = headOf(line);
      if (kind === 'intent' && call !== null) this.#owed.add(call);
    }
  }

  /** Copies the write-ahead log into the file and closes it. */
  close(): void {
    this.#connection?.db.close();
    this.#connection = undefined;
  }

  #connect(): Connection {
    const connection = prepare(openDatabase(this.#file, { migrations: AUDIT_MIGRATIONS, synchronous: 'NORMAL' }));
    this.#last = connection.last.get() ?? { seq: 0, hash: GENESIS };
    return connection;
  }

  #recover(connection: Connection): void {
    const pending = connection.pending.get();
    for (const call of JSON.parse(pending?.calls ?? '[]') as string[]) this.#open.add(call);
    for (const head of connection.since.iterate(pending?.seq ?? 0)) this.#follow(head);
    for (const call of this.#open) this.#owed.add(call);
    if (this.#owed.size > 0) this.write([]);
  }

  #commit(connection: Connection, lines: readonly string[]): Head[] {
    const owed = this.#owed.size === 0 ? [] : [...this.#owed].map(unknownOutcome);
    const heads: Head[] = [];
    let last = this.#last;
    connection.begin.run();
    const isMarked = this.#run.count >= MARK_EVERY;
    if (isMarked) this.#mark(connection);
    for (const line of owed.length === 0 ? lines : owed.concat(lines)) {
      const head = headOf(line);
      const seq = last.seq + 1;
      const body = prefixOf(seq, last.hash) + line;
      last = { seq, hash: hashOf(body) };
      connection.insert.run(seq, head.time, head.kind, head.call, body, last.hash);
      heads.push(head);
    }
    connection.commit.run();
    this.#last = last;
    if (isMarked) this.#run = emptyRun();
    return heads;
  }

  #mark(connection: Connection): void {
    const { seq } = this.#last;
    connection.mark.run(seq, this.#run.earliest, this.#run.latest);
    connection.remember.run(seq, JSON.stringify([...this.#open]));
  }

  /** Keeps count of a record that is committed. */
  #follow({ time, kind, call }: Head): void {
    const run = this.#run;
    run.count += 1;
    if (time < run.earliest) run.earliest = time;
    if (time > run.latest) run.latest = time;
    if (call === null) return;
    if (kind === 'intent') {
      this.#open.add(call);
      if (this.#open.size > MAX_OPEN) this.#forgetOldest();
    } else {
      this.#open.delete(call);
      if (this.#owed.size > 0) this.#owed.delete(call);
    }
  }

  #forgetOldest(): void {
    for (const call of this.#open) {
      this.#open.delete(call);
      this.#owed.delete(call);
      return;
    }
  }

  #oweOutcome({ kind, call }: Head): void {
    if (kind === 'outcome' && call !== null && this.#open.has(call)) this.#owed.add(call);
  }

  /** An error that is not known to pass may lie in the connection, so the next batch begins with a new one. */
  #rollBack(thrown: unknown): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    if (!PASSING.test(code)) this.close();
    else if (connection.db.inTransaction) connection.rollback.run();
  }
}

function emptyRun(): { count: number; earliest: number; latest: number } {
  return { count: 0, earliest: Number.MAX_SAFE_INTEGER, latest: 0 };
}

/** The outcome of a call whose end nobody saw or could write down. */
function unknownOutcome(call: string): string {
  return encodeRecord({ kind: 'outcome', time: Date.now(), call, status: 'unknown', error: 'interrupted' });
}

type Connection = ReturnType<typeof prepare>;

function prepare(db: Database) {
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.pragma(`journal_size_limit = ${JOURNAL_LIMIT_BYTES}`);
  return {
    db,
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    insert: db.prepare<[number, number, string, string | null, string, string]>(
      'INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)',
    ),
    mark: db.prepare<[number, number, number]>('INSERT INTO marks VALUES (?, ?, ?)'),
    remember: db.prepare<[number, string]>('UPDATE pending SET seq = ?, calls = ? WHERE id = 1'),
    last: db.prepare<[], Link>('SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1'),
    pending: db.prepare<[], { seq: number; calls: string }>('SELECT seq, calls FROM pending'),
    since: db.prepare<[number], Head>('SELECT time, kind, call FROM records WHERE seq > ? ORDER BY seq'),
  };
}
