// Reads the log: one row a call, newest first, beside the process that writes it or without one.
import { isObject, type JsonObject } from '../core/json.ts';
import { openDatabase, type Database } from '../storage/database.ts';
import { AUDIT_MIGRATIONS } from '../storage/migrations.ts';
import { type EventRecord, type IntentRecord, type OutcomeRecord, type Status } from './record.ts';

/** What to look for; every filter that is given must match. */
export interface AuditFilters {
  /** UTC milliseconds, inclusive. */
  readonly since?: number;
  /** UTC milliseconds, exclusive. */
  readonly until?: number;
  /** Id of the principal. */
  readonly principal?: string;
  readonly server?: string;
  /** The exposed or the original name. */
  readonly tool?: string;
  readonly method?: string;
  readonly status?: RowStatus;
  /** Anywhere in the record, in any letter case. */
  readonly text?: string;
  /** Calls unless told otherwise. */
  readonly kind?: 'call' | 'event' | 'all';
  readonly limit?: number;
}

/** A call that was begun and has no outcome yet is `in flight`. */
export type RowStatus = Status | 'in flight';

/** A call: its intent and, once there is one, its outcome. */
export interface CallRow extends Omit<IntentRecord, 'kind'>, Omit<OutcomeRecord, 'kind' | 'time' | 'call' | 'status'> {
  readonly kind: 'call';
  /** Number of the record of intent. */
  readonly seq: number;
  readonly status: RowStatus;
}

export interface EventRow extends EventRecord {
  readonly seq: number;
}

/** A record that is not what was once written; `verifyAudit` says more. Shown whatever the filters are. */
export interface DamagedRow {
  readonly kind: 'damaged';
  readonly seq: number;
  readonly time: number;
}

export type AuditRow = CallRow | EventRow | DamagedRow;

const PAGE = 2_000;
/** Outcomes that wait for their intent, which is as many as calls were ever open at once. */
const MAX_WAITING = 100_000;

/** As the database gives it: one array a record. */
type Stored = [seq: number, time: number, kind: string, call: string | null, body: string];

/** Finds records, newest first by the begin of the call. Streams in bounded memory. Throws StateError. */
export function* queryAudit(file: string, filters: AuditFilters = {}): Generator<AuditRow, void, undefined> {
  const db = openDatabase(file, { migrations: AUDIT_MIGRATIONS, readonly: true, synchronous: 'NORMAL' });
  try {
    let left = filters.limit ?? Infinity;
    if (left <= 0) return;
    for (const row of matches(db, filters)) {
      yield row;
      left -= 1;
      if (left <= 0) return;
    }
  } finally {
    db.close();
  }
}

function* matches(db: Database, filters: AuditFilters): Generator<AuditRow> {
  const accepts = compile(filters);
  const outcomes = new Map<string, string>();
  for (const [seq, time, kind, call, body] of newestFirst(db, filters.since)) {
    if (kind === 'outcome') {
      if (outcomes.size < MAX_WAITING) outcomes.set(call ?? '', body);
      continue;
    }
    const outcome = outcomes.get(call ?? '');
    if (outcome !== undefined) outcomes.delete(call ?? '');
    if (!accepts.head(time, kind) || !accepts.stored(body, outcome)) continue;
    const row = toRow({ seq, time, kind, body, outcome });
    if (row.kind === 'damaged' || accepts.row(row)) yield row;
  }
}

/** Pages instead of one long read, because that would keep the writer from emptying its write-ahead log. */
function* newestFirst(db: Database, since: number | undefined): Generator<Stored> {
  const page = db
    .prepare<[number, number], Stored>(
      `SELECT seq, time, kind, call, body FROM records WHERE seq < ? AND seq > ? ORDER BY seq DESC LIMIT ${PAGE}`,
    )
    .raw();
  const floor = floorOf(db, since);
  let below = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const rows = page.all(below, floor);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    below = last[0];
  }
}

/** The number up to which every record is older. Clocks jump, so it takes the marks of all runs and not a search by halves. */
function floorOf(db: Database, since: number | undefined): number {
  if (since === undefined) return 0;
  const first = db.prepare<[number], number>('SELECT min(seq) FROM marks WHERE latest >= ?').pluck().get(since);
  const before = db.prepare<[number], number>('SELECT max(seq) FROM marks WHERE seq < ?').pluck();
  return before.get(first ?? Number.MAX_SAFE_INTEGER) ?? 0;
}

/** Cheap tests on columns and stored text, which let most records go unparsed, and the exact one on the row. */
function compile(filters: AuditFilters) {
  const { principal, server, tool, method, status, text } = filters;
  const { kind: wanted = 'call', since = -Infinity, until = Infinity } = filters;
  const parts = [principal, server, tool, method].flatMap((value) =>
    value === undefined ? [] : [JSON.stringify(value)],
  );
  // As it stands in JSON, so that a quote or a backslash is found too.
  const needle = text === undefined ? undefined : JSON.stringify(text).slice(1, -1).toLowerCase();
  return {
    head(time: number, kind: string): boolean {
      return time >= since && time < until && (wanted === 'all' || (wanted === 'event') === (kind === 'event'));
    },
    stored(body: string, outcome: string | undefined): boolean {
      if (!parts.every((part) => body.includes(part))) return false;
      if (needle === undefined) return true;
      return (
        contentOf(body).toLowerCase().includes(needle) ||
        (outcome !== undefined && contentOf(outcome).toLowerCase().includes(needle))
      );
    },
    row(row: CallRow | EventRow): boolean {
      if (row.kind === 'event') return status === undefined;
      return (
        (principal === undefined || row.principal.id === principal) &&
        (server === undefined || row.server === server) &&
        (tool === undefined || row.exposed === tool || row.original === tool) &&
        (method === undefined || row.method === method) &&
        (status === undefined || row.status === status)
      );
    },
  };
}

/** What was recorded, after number, version and the hash of the record before: a search for a few letters would hit that by chance. */
function contentOf(body: string): string {
  return body.slice(body.indexOf('"time":'));
}

interface StoredRow {
  readonly seq: number;
  readonly time: number;
  readonly kind: string;
  readonly body: string;
  readonly outcome: string | undefined;
}

function toRow({ seq, time, kind, body, outcome }: StoredRow): AuditRow {
  const record = parse(body);
  const end = outcome === undefined ? {} : parse(outcome);
  if (record === undefined || end === undefined) return { kind: 'damaged', seq, time };
  if (kind === 'event') return { ...record, kind: 'event', seq } as EventRow;
  if (!isObject(record.principal)) return { kind: 'damaged', seq, time };
  return { status: 'in flight', ...record, ...end, kind: 'call', seq, time } as CallRow;
}

function parse(body: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(`{${contentOf(body)}`);
    return isObject(value) ? value : undefined;
  } catch {
    // Not JSON: the caller shows the record as damaged.
    return undefined;
  }
}
