// The files of the log: where they are, how they are named, and what the first record of each says about the earlier ones.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { newerState, StateError } from '../storage/state-error.ts';
import { linesBackward } from './lines.ts';
import { eventOf, type EventRecord, SEGMENT_STARTED } from './record.ts';
import { numberOf, RECORD_VERSION } from './segment-file.ts';

/** A file of the log. */
export interface Segment {
  readonly name: string;
  readonly path: string;
  /** Number of its first record, as its name says. */
  readonly first: number;
}

/** The segment that begins with the record of this number. */
export function segmentAt(folder: string, first: number): Segment {
  const name = `${String(first).padStart(20, '0')}.jsonl`;
  return { name, path: join(folder, name), first };
}

/** The segments of a log, oldest first. Throws StateError. */
export function segmentsIn(folder: string): Segment[] {
  try {
    const names = readdirSync(folder).filter((name) => /^\d{20}\.jsonl$/.test(name));
    return names.sort().map((name) => segmentAt(folder, Number(name.slice(0, 20))));
  } catch (thrown) {
    throw new StateError(`Cannot read ${folder}: ${reasonOf(thrown)}.`, { cause: thrown });
  }
}

/** The segments of a log that is only read. Throws StateError where there is no log, or a newer version wrote it. */
export function readableSegments(folder: string): Segment[] {
  if (!existsSync(folder)) {
    throw new StateError(
      `${folder} does not exist: no gateway has run with this state directory. Start one, or name another with --state.`,
    );
  }
  const segments = segmentsIn(folder);
  lastRecordOf(segments);
  return segments;
}

/** The last whole line of a log and its segment. Throws StateError where a newer version wrote it. */
export function lastRecordOf(segments: readonly Segment[]): { segment: Segment; line: Buffer } | undefined {
  for (const segment of segments.toReversed()) {
    for (const line of linesBackward(segment.path)) {
      const version = numberOf(line)?.version ?? 0;
      if (version > RECORD_VERSION) throw newerState(segment.path, version, RECORD_VERSION);
      return { segment, line: Buffer.from(line) };
    }
  }
  return undefined;
}

/** What the first record of a segment carries over from earlier ones, so that neither a start nor a search by time reads these. */
export interface Carried {
  /** The latest time of any earlier record, UTC milliseconds; clocks jump, so the last record may have another. */
  readonly latest: number;
  /** The calls in flight, oldest first. */
  readonly calls: readonly string[];
}

/** The record that a segment begins with. */
export function segmentStart({ latest, calls }: Carried): EventRecord {
  return eventOf(SEGMENT_STARTED, { latest, calls: [...calls] });
}

/** Reads what the first record of a segment carries over; undefined for any other record. */
export function carriedBy(line: Buffer): Carried | undefined {
  if (!line.toString('latin1', 0, 320).includes(`"event":"${SEGMENT_STARTED}"`)) return undefined;
  const detail = parseRecord(line.toString())?.detail;
  if (!isObject(detail) || typeof detail.latest !== 'number' || !Array.isArray(detail.calls)) return undefined;
  return { latest: detail.latest, calls: detail.calls.filter((call) => typeof call === 'string') };
}

/** A stored record as an object; undefined where it is not JSON. */
export function parseRecord(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
