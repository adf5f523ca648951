// Reads the log, newest first and one row for each call, while another process may write it.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { linesBackward } from './lines.ts';
import type { EventRecord, IntentRecord, OutcomeRecord } from './record.ts';
import { carriedBy, parseRecord, readableSegments, type Segment } from './segments.ts';
import { type Head, headOf, numberOf } from './segment-file.ts';
import type { Status } from '../core/call-context.ts';

/** Which rows to return: those that match every filter given. */
export interface AuditFilters {
  /** UTC milliseconds, inclusive. */
  readonly since?: number | undefined;
  /** UTC milliseconds, exclusive. */
  readonly until?: number | undefined;
  /** Id of the principal. */
  readonly principal?: string | undefined;
  readonly server?: string | undefined;
  /** The exposed or the original name. */
  readonly tool?: string | undefined;
  readonly method?: string | undefined;
  readonly status?: RowStatus | undefined;
  /** Anywhere in the record, in any letter case. */
  readonly text?: string | undefined;
  /** By default calls. */
  readonly kind?: 'call' | 'event' | 'all' | undefined;
  readonly limit?: number | undefined;
}

/** A call without an outcome is `in flight`. */
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

/** A record whose stored bytes were changed; `verifyAudit` says more. No filter excludes it. */
export interface DamagedRow {
  readonly kind: 'damaged';
  readonly seq: number;
  /** UTC milliseconds; the time of the next record where its own cannot be read. */
  readonly time: number;
}

export type AuditRow = CallRow | EventRow | DamagedRow;

/** Finds records, ordered by the start of the call, newest first. Streams in bounded memory. Throws StateError. */
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
  // a damaged line gets its number from the line after it, the last line from its segment
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
      if (outcomes.size < BOUNDS.auditQueryOutcomes) outcomes.set(head.call, line.toString());
      continue;
    }
    const outcome = outcomes.get(head.call);
    if (outcome !== undefined) outcomes.delete(head.call);
    if (!accepts.head(head) || !accepts.stored(line, outcome)) continue;
    const row = toRow(head, line.toString(), outcome);
    if (row.kind === 'damaged' || accepts.row(row)) yield row;
  }
}

/** Stops after the segment whose first record says that all earlier records are older. The time of a single record does not tell, as clocks jump. */
function* newestFirst(segments: readonly Segment[], since = -Infinity): Generator<Buffer> {
  for (const { path, first } of segments.toReversed()) {
    let isLast = false;
    for (const line of linesBackward(path)) {
      // read before the yield: the view is not valid after it
      isLast = since > -Infinity && numberOf(line)?.seq === first && (carriedBy(line)?.latest ?? Infinity) < since;
      yield line;
    }
    if (isLast) return;
  }
}

/** Cheap tests on the stored bytes, which spare parsing most records, and the exact test on the row. */
function compile(filters: AuditFilters) {
  const { principal, server, tool, method, status, text } = filters;
  const { kind: wanted = 'call', since = -Infinity, until = Infinity } = filters;
  const parts = [principal, server, tool, method].flatMap((value) =>
    value === undefined ? [] : [Buffer.from(JSON.stringify(value))],
  );
  // as JSON writes it, so that the search finds a quote or a backslash too
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

/** The stored text without number, version and link: a search for a few letters would match a hash by chance. */
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
