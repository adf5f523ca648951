// Verifies the chain: the link of every record, computed over the stored bytes, its number, and the names of the segments.
import { linesBackward, linesForward } from './lines.ts';
import { reasonOf } from '../core/errors.ts';
import { parseRecord, readableSegments, type Segment } from './segments.ts';
import { GENESIS, hashOf, numberOf, prefixOf } from './segment-file.ts';

/** A record by its number, its time (UTC ms) and its hash. The hash of the last record, kept elsewhere, proves that no record was cut off. */
export interface Endpoint {
  readonly seq: number;
  readonly time: number;
  readonly hash: string;
}

/** The result of verifying a log. */
export interface Verification {
  readonly ok: boolean;
  /** How many records are unchanged, up to the first that is not. */
  readonly records: number;
  readonly first?: Endpoint;
  readonly last?: Endpoint;
  /** The first record that is missing or was changed. */
  readonly problem?: Problem;
  /** Bytes after the last whole record: a process is writing a record, or was killed while it did; the next start cuts them off. */
  readonly unfinished?: number;
}

interface Problem {
  readonly seq: number;
  readonly message: string;
}

/**
 * Recomputes the chain from the first record, in bounded memory; another process may write the log meanwhile. The next record proves each
 * record. Only a hash kept elsewhere proves the last one. Throws StateError where there is no log, or a newer version wrote it.
 */
export function verifyAudit(folder: string): Verification {
  const segments = readableSegments(folder);
  const walk = new Walk();
  const lastWhole = lastIsWhole(segments.at(-1));
  try {
    for (const segment of segments) if (!walk.through(segment, segment === segments.at(-1))) break;
  } catch (thrown) {
    walk.fail({ seq: walk.next, message: `the log cannot be read at or after this record: ${reasonOf(thrown)}` });
  }
  if (!lastWhole) walk.doubtLast('it is not a record any more: its content was changed');
  return walk.report();
}

/** No later record proves the last one, so this checks at least that it is JSON. */
function lastIsWhole(segment: Segment | undefined): boolean {
  if (segment === undefined) return true;
  for (const line of linesBackward(segment.path)) return parseRecord(line.toString()) !== undefined;
  return true;
}

/** A record that was verified; `endpointOf` parses its time only where the report needs it. */
interface Step {
  readonly seq: number;
  readonly hash: string;
  readonly start: string;
}

/** The time of a record is within so many bytes after its prefix. */
const TIME_BYTES = 32;

class Walk {
  #first: Step | undefined;
  #last: Step | undefined;
  /** The record before the last. */
  #previous: Step | undefined;
  #problem: Problem | undefined;
  #unfinished = 0;

  /** The number that the next record must have. */
  get next(): number {
    return (this.#last?.seq ?? 0) + 1;
  }

  /** Verifies the records of a segment; false where one of them was changed. */
  through(segment: Segment, isLast: boolean): boolean {
    const isNamed = segment.first === this.next;
    const lines = linesForward(segment.path);
    for (let found = lines.next(); ; found = lines.next()) {
      if (found.done === true) {
        if (isLast) this.#unfinished = found.value;
        else if (found.value > 0) this.fail({ seq: this.next, message: `${segment.name} ends in the middle of it` });
        break;
      }
      if (!this.#step(found.value)) break;
      if (!isNamed) {
        this.doubtLast(`${segment.name} begins with it: the file was renamed`);
        break;
      }
    }
    lines.return(0);
    return this.#problem === undefined;
  }

  fail(problem: Problem): void {
    this.#problem ??= problem;
  }

  /** Reports that the last record was changed, unless a problem is known already. */
  doubtLast(message: string): void {
    if (this.#problem !== undefined || this.#last === undefined) return;
    this.#problem = { seq: this.#last.seq, message };
    this.#last = this.#previous;
  }

  report(): Verification {
    const problem = this.#problem;
    return {
      ok: problem === undefined,
      records: this.#last?.seq ?? 0,
      ...(this.#first && this.#last && { first: endpointOf(this.#first), last: endpointOf(this.#last) }),
      ...(problem && { problem }),
      ...(this.#unfinished > 0 && { unfinished: this.#unfinished }),
    };
  }

  #step(line: Buffer): boolean {
    const seq = this.next;
    const prefix = prefixOf(seq, this.#last?.hash ?? GENESIS);
    const start = line.toString('latin1', 0, prefix.length + TIME_BYTES);
    if (!start.startsWith(prefix)) {
      this.#explain(line, seq);
      return false;
    }
    this.#previous = this.#last;
    this.#last = { seq, hash: hashOf(line), start };
    this.#first ??= this.#last;
    if (!line.includes(RUN_TOGETHER)) return true;
    this.doubtLast('the line break after it is gone');
    return false;
  }

  #explain(line: Buffer, seq: number): void {
    const found = numberOf(line)?.seq;
    if (found === undefined) this.fail({ seq, message: 'its line does not begin as a record does' });
    else if (found > seq) this.fail({ seq, message: `it is missing; the next one that is there is ${found}` });
    else if (found < seq) {
      this.fail({ seq, message: `it was written as record ${found}: records were moved, copied or removed` });
    } else if (this.#last === undefined)
      this.fail({ seq, message: 'it links to a record before it, and there is none' });
    else this.doubtLast(`record ${seq} does not link to it: this one or that one was rewritten`);
  }
}

/** The end of one record and the start of the next without a line break between them; inside a record JSON escapes the quotes. */
const RUN_TOGETHER = Buffer.from('}{"seq":');

function endpointOf({ seq, hash, start }: Step): Endpoint {
  return { seq, time: Number(/"time":(\d+)/.exec(start)?.[1]), hash };
}
