// Writes the log: numbers records, links them, commits them batch by batch, and follows which calls have no outcome yet.
import { mkdirSync } from 'node:fs';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { AuditPlace } from './audit-log.ts';
import { type AuditRecord, encodeRecord, eventOf, type EventRecord, type OutcomeRecord } from './record.ts';
import { hashOf, type Link, prefixOf, SegmentFile } from './segment-file.ts';
import { segmentAt, segmentStart } from './segments.ts';

const NONE: readonly AuditRecord[] = [];

/** The state of a log at a start, and where to continue. */
export interface Recovered {
  readonly last: Link;
  /** The latest time of any record, UTC milliseconds. */
  readonly latest: number;
  /** The calls with an intent and no outcome. */
  readonly calls: OpenCalls;
  /** The segment to append to; absent where the next record begins one. */
  readonly file?: SegmentFile;
  /** The events that record what was cut off. */
  readonly repairs: readonly EventRecord[];
}

/** Writes the chain. Its methods are synchronous and throw what the file system says. */
export class AuditWriter {
  readonly #options: AuditPlace;
  readonly #calls: OpenCalls;
  #last: Link;
  /** The latest time of any record. */
  #latest: number;
  #file: SegmentFile | undefined;
  #checkedAt = performance.now();
  /** Events about the log itself, which the next batch begins with. */
  #events: EventRecord[];

  /** Writes outcomes for the calls that an earlier process left open. */
  constructor({ last, latest, calls, file, repairs }: Recovered, options: AuditPlace) {
    this.#options = options;
    this.#last = last;
    this.#latest = latest;
    this.#calls = calls;
    this.#file = file;
    this.#events = [...repairs];
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
   * Commits records, given with their encoded form. Where it throws, the chain has not advanced. In the place of each lost outcome the next
   * batch that succeeds writes one of status `unknown`.
   */
  write(records: readonly AuditRecord[], encoded: readonly string[]): void {
    try {
      const file = this.#ready();
      const own = this.#ownRecords(file);
      this.#commit(file, own.length === 0 ? encoded : [...own.map((record) => encodeRecord(record)), ...encoded]);
      for (const record of own) this.#follow(record);
      if (this.#events.length > 0) this.#events = [];
    } catch (thrown) {
      this.#file?.rollBack();
      for (const record of records) this.#calls.lose(record);
      throw thrown;
    }
    for (const record of records) this.#follow(record);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** The segment for the next batch; a new one where the last is full or lost. */
  #ready(): SegmentFile {
    this.#file?.begin();
    this.#checkFile();
    const current = this.#file;
    if (current !== undefined && current.size < this.#options.bounds.auditSegment) return current;
    const { folder } = this.#options;
    this.#requireOwned();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const next = SegmentFile.create(segmentAt(folder, this.#last.seq + 1));
    current?.close();
    this.#file = next;
    return next;
  }

  /**
   * Closes the open file where it was removed, cut or replaced, and records that. The next segment continues its numbers, so `audit verify`
   * reports the lost records. Before every batch it asks the open file, since a batch written to a removed file is lost; it looks at paths
   * only every `auditCheck`.
   */
  #checkFile(): void {
    const file = this.#file;
    if (file === undefined) return;
    const now = performance.now();
    const isDue = now - this.#checkedAt >= this.#options.bounds.auditCheck;
    if (isDue) {
      this.#checkedAt = now;
      this.#requireOwned();
    }
    const why = file.whyCut() ?? (isDue ? file.whyMoved() : undefined);
    if (why === undefined) return;
    this.#requireOwned();
    this.#events.push(eventOf('segment_lost', { segment: file.segment.name, why }));
    this.close();
  }

  /** Throws where another gateway may be writing here: two writers would break the chain. */
  #requireOwned(): void {
    if (!this.#options.owner.isHeld()) throw new Error('the state directory may belong to another gateway by now');
  }

  /** The log's own records, which go before a batch: the start of a segment, events, and outcomes that were lost. */
  #ownRecords(file: SegmentFile): readonly AuditRecord[] {
    const { owed } = this.#calls;
    if (file.size > 0 && owed.size === 0 && this.#events.length === 0) return NONE;
    const start = file.size > 0 ? [] : [segmentStart({ latest: this.#latest, calls: this.#calls.all })];
    return [...start, ...this.#events, ...Array.from(owed, unknownOutcome)];
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

  /** Follows a record that was committed. */
  #follow(record: AuditRecord): void {
    if (record.time > this.#latest) this.#latest = record.time;
    this.#calls.follow(record);
  }
}

/** The outcome of a call whose own outcome was lost. */
function unknownOutcome(call: string): OutcomeRecord {
  return { kind: 'outcome', time: Date.now(), call, status: 'unknown', error: 'interrupted' };
}

/** The part of a record that matters here: events have no call. */
interface Followed {
  readonly kind: string;
  readonly call?: string;
}

/** Follows calls from intent to outcome. The open ones are an array, to which every call adds an entry that is most often found near the end (see `Slots`). */
export class OpenCalls {
  /** Oldest first. */
  readonly #open: string[];
  readonly #owed = new Set<string>();

  constructor(calls: Iterable<string> = []) {
    this.#open = [...calls];
  }

  /** Oldest first. */
  get all(): readonly string[] {
    return [...this.#open];
  }

  /** The calls for which the log must write an outcome, oldest first. */
  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** Follows a record that was committed. */
  follow({ kind, call = '' }: Followed): void {
    if (kind === 'intent') {
      this.#open.push(call);
      if (this.#open.length > BOUNDS.auditOpenCalls) this.#owed.delete(this.#open.shift() ?? '');
    } else if (kind === 'outcome') {
      const index = this.#open.lastIndexOf(call);
      if (index !== -1) this.#open.splice(index, 1);
      this.#owed.delete(call);
    }
  }

  /** Follows a record that could not be written: of a lost outcome the log must write one later, since its caller does not retry. */
  lose({ kind, call = '' }: Followed): void {
    if (kind === 'outcome' && this.#open.includes(call)) this.#owed.add(call);
  }

  /** The process that would write the outcomes of all open calls has ended: the log must write them. */
  loseAll(): void {
    for (const call of this.#open) this.#owed.add(call);
  }
}
