// How many records are worth waiting for before a batch is sent: a commit costs the same for one record and for sixteen.
import { type AuditRecord } from './record.ts';

/** How long load is watched before it is judged, in ms. */
const WINDOW_MS = 100;
/** Records that come later than this are not waited for, in ms. */
const PATIENCE_MS = 1;
const MOST = 64;

/**
 * Judges by what happened just now, as a database does with siblings of a committing transaction: nearly all of the calls that run side
 * by side, but no more than usually arrive within the patience. A lone caller never waits, and calls that stay open for long do not count.
 */
export class Pace {
  /** Records that a batch should have before it is sent. */
  target = 1;
  private since = 0;
  private records = 0;
  private busyMs = 0;

  /** Takes note of a record as it is appended. */
  note(record: AuditRecord): void {
    const elapsed = record.time - this.since;
    if (elapsed < 0 || elapsed >= WINDOW_MS) this.judge(record.time, elapsed);
    this.records++;
    // Little's law: the time that calls took, over the time that passed, is how many ran at once
    if (record.kind === 'outcome' && record.duration !== undefined) this.busyMs += Math.min(record.duration, WINDOW_MS);
  }

  private judge(now: number, elapsed: number): void {
    const usable = elapsed > 0 && elapsed < 10 * WINDOW_MS;
    const concurrency = usable ? this.busyMs / elapsed : 0;
    const arriving = usable ? (this.records / elapsed) * PATIENCE_MS : 0;
    this.target = Math.max(1, Math.min(MOST, Math.floor(Math.min(concurrency * 0.9, arriving))));
    this.since = now;
    this.records = 0;
    this.busyMs = 0;
  }
}
