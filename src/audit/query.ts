// Reads the log: one row a call, newest first, beside the process that writes it or without one.
import { isObject, type JsonObject } from '../core/json.ts';
import { headOf, numberOf, type Head } from './chain.ts';
import { linesBackward } from './lines.ts';
import type { Status } from '../core/settlement.ts';
import type { EventRecord, IntentRecord, OutcomeRecord } from './record.ts';
import { carriedBy, parseRecord, readableSegments, type Segment } from './segments.ts';

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
  /** UTC milliseconds; that of the record after it where its own cannot be read. */
  readonly time: number;
}

export type AuditRow = CallRow | EventRow | DamagedRow;

/** Outcomes that wait for their intent, which is as many as calls were ever open at once. */
const MAX_WAITING = 100_000;

/** Finds records, newest first by the begin of the call. Streams in bounded memory. Throws StateError. */
export function* queryAudit(folder: string, filters: AuditFilters = {}): Generator<AuditRow, void, undefined> {
  let left = filters.limit ?? Infinity;
  const segments = readableSegments(folder);
  if (left <= 0) return;
  for (const row of matches(segments, filters)) {
    yield row;
    left -= 1;
    if (left <= 0) return;
  }
}

function* matches(segments: readonly Segment[], filters: AuditFilters): Generator<AuditRow> {
  const accepts = compile(filters);
  const outcomes = new Map<string, string>();
  // a damaged line is placed by the one after it, the last one by its segment
  let after = { seq: (segments.at(-1)?.first ?? 0) + 1, time: Date.now() };
  for (const line of newestFirst(segments, filters.since)) {
    const head = headOf(line);
    if (head === undefined) {
      after = { seq: numberOf(line)?.seq ?? after.seq - 1, time: after.time };
      yield { kind: 'damaged', ...after };
      continue;
    }
    after = head;
    if (head.kind === 'outcome') {
      if (outcomes.size < MAX_WAITING) outcomes.set(head.call, line.toString());
      continue;
    }
    const outcome = outcomes.get(head.call);
    if (outcome !== undefined) outcomes.delete(head.call);
    if (!accepts.head(head) || !accepts.stored(line, outcome)) continue;
    const row = toRow(head, line.toString(), outcome);
    if (row.kind === 'damaged' || accepts.row(row)) yield row;
  }
}

/** Stops at the segment whose first record says that all before it are older; clocks jump, so the time of one record says nothing. */
function* newestFirst(segments: readonly Segment[], since = -Infinity): Generator<Buffer> {
  for (const { path, first } of segments.toReversed()) {
    let isLast = false;
    for (const line of linesBackward(path)) {
      // the view may be gone after it was yielded
      isLast = since > -Infinity && numberOf(line)?.seq === first && (carriedBy(line)?.latest ?? Infinity) < since;
      yield line;
    }
    if (isLast) return;
  }
}

/** Cheap tests on stored bytes, which let most records go unparsed, and the exact one on the row. */
function compile(filters: AuditFilters) {
  const { principal, server, tool, method, status, text } = filters;
  const { kind: wanted = 'call', since = -Infinity, until = Infinity } = filters;
  const parts = [principal, server, tool, method].flatMap((value) =>
    value === undefined ? [] : [Buffer.from(JSON.stringify(value))],
  );
  // As it stands in JSON, so that a quote or a backslash is found too.
  const needle = text === undefined ? undefined : JSON.stringify(text).slice(1, -1).toLowerCase();
  return {
    head({ time, kind }: Head): boolean {
      return time >= since && time < until && (wanted === 'all' || (wanted === 'event') === (kind === 'event'));
    },
    stored(line: Buffer, outcome: string | undefined): boolean {
      if (!parts.every((part) => line.includes(part))) return false;
      if (needle === undefined) return true;
      return (
        contentOf(line.toString()).toLowerCase().includes(needle) ||
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

function toRow({ seq, time, kind }: Head, line: string, outcome: string | undefined): AuditRow {
  const record = parseContent(line);
  const end = outcome === undefined ? {} : parseContent(outcome);
  if (record === undefined || end === undefined) return { kind: 'damaged', seq, time };
  if (kind === 'event') return { ...record, kind, seq } as EventRow;
  if (!isObject(record.principal)) return { kind: 'damaged', seq, time };
  return { status: 'in flight', ...record, ...end, kind: 'call', seq, time } as CallRow;
}

function parseContent(line: string): JsonObject | undefined {
  return parseRecord(`{${contentOf(line)}`);
}
