// The one who writes: numbers records, links them, and commits them a batch at a time.
import { GENESIS, hashOf, prefixOf, type Link } from './chain.ts';
import { encodeRecord } from './encode.ts';
import type { OpenCalls } from './open-calls.ts';
import { eventOf, type AuditRecord, type EventRecord, type OutcomeRecord } from './record.ts';
import { recover } from './recovery.ts';
import { SegmentFile } from './segment-file.ts';
import { segmentAt, segmentStart } from './segments.ts';

/** Milliseconds between two looks at whether the file is still there; what is written to a removed one is lost. */
const LOOK_EVERY_MS = 1_000;
const NONE: readonly AuditRecord[] = [];

/** Where to write. */
export interface AuditWriterOptions {
  readonly folder: string;
  /** Bytes after which a segment is followed by the next. */
  readonly segmentBytes: number;
}

/** Writes the chain. Its methods are synchronous and throw what the file system says. */
export class AuditWriter {
  readonly #options: AuditWriterOptions;
  readonly #calls: OpenCalls;
  #last: Link = { seq: 0, hash: GENESIS };
  /** The latest time of any record. */
  #latest: number;
  #file: SegmentFile | undefined;
  #lookedAt = performance.now();
  /** What happened to the log itself, to be recorded before anything else. */
  #notes: EventRecord[];

  /** Opens the log and ends the calls that an earlier process left open. Throws StateError, or what the file system says. */
  constructor(options: AuditWriterOptions) {
    this.#options = options;
    const { last, latest, calls, file, repairs } = recover(options.folder);
    this.#last = last;
    this.#latest = latest;
    this.#calls = calls;
    this.#file = file;
    this.#notes = [...repairs];
    calls.loseAll();
    if (calls.owed.size === 0 && repairs.length === 0) return;
    try {
      this.write(NONE, []);
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /**
   * Commits records, given with their encoded form. When it throws, nothing of the chain has advanced; the outcomes that were lost
   * are made good by ones of status `unknown` with the next batch that succeeds.
   */
  write(records: readonly AuditRecord[], encoded: readonly string[]): void {
    try {
      const file = this.#ready();
      const before = this.#before(file);
      this.#commit(file, before.length === 0 ? encoded : [...before.map(encodeRecord), ...encoded]);
      for (const record of before) this.#follow(record);
      if (this.#notes.length > 0) this.#notes = [];
    } catch (thrown) {
      this.#file?.takeBack();
      for (const record of records) this.#calls.lose(record);
      throw thrown;
    }
    for (const record of records) this.#follow(record);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** The file that the next batch goes to. */
  #ready(): SegmentFile {
    this.#file?.begin();
    this.#look();
    const current = this.#file;
    if (current !== undefined && current.size < this.#options.segmentBytes) return current;
    const next = SegmentFile.create(segmentAt(this.#options.folder, this.#last.seq + 1));
    current?.close();
    this.#file = next;
    return next;
  }

  /** Numbers are never given twice, so a segment that somebody took away is followed by the next and missing for whoever verifies. */
  #look(): void {
    const file = this.#file;
    const now = performance.now();
    if (file === undefined || now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    if (file.isInPlace()) return;
    this.#notes.push(eventOf('segment_lost', { segment: file.segment.name }));
    this.close();
  }

  /** Records that go before a batch: the begin of a segment, and what is owed from earlier. */
  #before(file: SegmentFile): readonly AuditRecord[] {
    const { owed } = this.#calls;
    if (file.size > 0 && owed.size === 0 && this.#notes.length === 0) return NONE;
    const start = file.size > 0 ? [] : [segmentStart({ latest: this.#latest, calls: this.#calls.all })];
    return [...start, ...this.#notes, ...Array.from(owed, unknownOutcome)];
  }

  #commit(file: SegmentFile, encoded: readonly string[]): void {
    let { seq, hash } = this.#last;
    for (const line of encoded) {
      seq += 1;
      const body = prefixOf(seq, hash) + line;
      hash = hashOf(body);
      file.put(body);
    }
    file.commit();
    this.#last = { seq, hash };
  }

  /** Keeps count of a record that is committed. */
  #follow(record: AuditRecord): void {
    if (record.time > this.#latest) this.#latest = record.time;
    this.#calls.follow(record);
  }
}

/** The outcome of a call whose end nobody saw or could write down. */
function unknownOutcome(call: string): OutcomeRecord {
  return { kind: 'outcome', time: Date.now(), call, status: 'unknown', error: 'interrupted' };
}
