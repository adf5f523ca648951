// Prepares the log at a start: finds its last record and the calls that an ended process left open, and cuts off a half-written end.
import { mkdirSync, rmSync, truncateSync } from 'node:fs';
import { requireOwn } from '../storage/state-directory.ts';
import { StateError } from '../storage/state-error.ts';
import { extentOf, linesForward } from './lines.ts';
import { eventOf, type EventRecord } from './record.ts';
import { GENESIS, hashOf, headOf, type Link, SegmentFile } from './segment-file.ts';
import { type Carried, carriedBy, lastRecordOf, parseRecord, type Segment, segmentsIn } from './segments.ts';
import { OpenCalls, type Recovered } from './writer.ts';

/** Opens or creates the folder of a log. Throws StateError, or what the file system says. */
export function recover(folder: string): Recovered {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  requireOwn(folder);
  const segments = segmentsIn(folder);
  const last = lastLinkOf(segments);
  const repairs = cutTornEnd(segments, last);
  // the cut removed segments without a whole line
  const left = segmentsIn(folder);
  const base = lastStart(left);
  const calls = new OpenCalls(base.carried?.calls);
  let latest = base.carried?.latest ?? 0;
  for (const segment of base.from) {
    for (const line of linesForward(segment.path)) {
      const head = headOf(line);
      if (head === undefined) continue; // damaged: `audit verify` reports it, and the log continues from its last record
      calls.follow(head);
      if (head.time > latest) latest = head.time;
    }
  }
  const [only, ...others] = base.from;
  if (base.carried === undefined || only === undefined || others.length > 0) return { last, latest, calls, repairs };
  return { last, latest, calls, repairs, file: SegmentFile.resume(only, extentOf(only.path).size) };
}

function lastLinkOf(segments: readonly Segment[]): Link {
  const end = lastRecordOf(segments);
  if (end === undefined) return { seq: 0, hash: GENESIS };
  const { segment, line } = end;
  const head = headOf(line);
  if (head === undefined || head.seq < segment.first || parseRecord(line.toString()) === undefined) {
    throw new StateError(
      `The last record of ${segment.path} cannot be read, so no other can follow it. ` +
        `Restore the file from a backup, or move its folder away to begin a new log.`,
    );
  }
  return { seq: head.seq, hash: hashOf(line) };
}

/** Cuts off what follows the last line break. No append of it ever resolved: its process died first, or the machine did. */
function cutTornEnd(segments: readonly Segment[], last: Link): EventRecord[] {
  const repairs: EventRecord[] = [];
  for (const { name, path, first } of segments.toReversed()) {
    const { size, whole } = extentOf(path);
    if (whole === 0) rmSync(path);
    else if (whole < size) truncateSync(path, whole);
    // the name of a segment is the number of its first record, so it tells how many records a lost disk cache held
    const missing = whole === 0 ? Math.max(0, first - 1 - last.seq) : 0;
    if (whole < size || missing > 0) {
      repairs.push(eventOf('audit_repaired', { segment: name, bytes: size - whole, ...(missing > 0 && { missing }) }));
    }
    if (whole > 0) break;
  }
  return repairs;
}

/** The last segment that begins with `segment_started`, with those after it; all segments where none does, as in an imported log. */
function lastStart(segments: readonly Segment[]): { carried?: Carried; from: readonly Segment[] } {
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const carried = startOf(segments[index]);
    if (carried !== undefined) return { carried, from: segments.slice(index) };
  }
  return { from: segments };
}

function startOf(segment: Segment | undefined): Carried | undefined {
  if (segment === undefined) return undefined;
  for (const line of linesForward(segment.path)) return carriedBy(line);
  return undefined;
}
