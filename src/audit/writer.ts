// The one who writes: numbers records, links them, and commits them a batch at a time.
import { mkdirSync } from 'node:fs';
import { GENESIS, hashOf, prefixOf, type Link } from './chain.ts';
import { encodeRecord } from './encode.ts';
import type { OpenCalls } from './open-calls.ts';
import { eventOf, type AuditRecord, type EventRecord, type OutcomeRecord } from './record.ts';
import { recover } from './recovery.ts';
import { SegmentFile } from './segment-file.ts';
import { segmentAt, segmentStart } from './segments.ts';

/** Milliseconds between two looks at paths: whether the file is the one at its path, and the log still ours. */
const LOOK_EVERY_MS = 10;
const NONE: readonly AuditRecord[] = [];

/** Where to write. */
export interface AuditWriterOptions {
  readonly folder: string;
  /** Bytes after which a segment is followed by the next. */
  readonly segmentBytes: number;
  /** Whether the folder still belongs to this process; where it does not, nothing is written. */
  readonly isOwned: () => boolean;
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
    const { folder } = this.#options;
    this.#requireOwned();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const next = SegmentFile.create(segmentAt(folder, this.#last.seq + 1));
    current?.close();
    this.#file = next;
    return next;
  }

  /**
   * Numbers are never given twice, so a segment that was taken away is followed by the next and missing for whoever verifies. Whether the
   * open file was removed is asked before every batch, since what is written to it then is lost; what needs its path, now and then.
   */
  #look(): void {
    const file = this.#file;
    if (file === undefined) return;
    const now = performance.now();
    const isDue = now - this.#lookedAt >= LOOK_EVERY_MS;
    if (isDue) {
      this.#lookedAt = now;
      this.#requireOwned();
    }
    const why = file.whyCut() ?? (isDue ? file.whyMoved() : undefined);
    if (why === undefined) return;
    this.#requireOwned();
    this.#notes.push(eventOf('segment_lost', { segment: file.segment.name, why }));
    this.close();
  }

  /** Another gateway may be writing here: one that goes on beside it would break the chain. */
  #requireOwned(): void {
    if (!this.#options.isOwned()) throw new Error('the state directory may belong to another gateway by now');
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
