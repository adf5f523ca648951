// Checks the chain: every link over the stored bytes, every number, every segment.
import { GENESIS, hashOf, numberOf, prefixOf } from './chain.ts';
import { linesBackward, linesForward } from './lines.ts';
import { reasonOf } from '../core/errors.ts';
import { parseRecord, readableSegments, type Segment } from './segments.ts';

/** A record by its number, its time (UTC ms) and its hash; the last one's, kept elsewhere, proves that nothing was cut off. */
export interface Endpoint {
  readonly seq: number;
  readonly time: number;
  readonly hash: string;
}

/** What a check of the whole log found. */
export interface Verification {
  readonly ok: boolean;
  /** Records that are as they were written, up to the first that is not. */
  readonly records: number;
  readonly first?: Endpoint;
  readonly last?: Endpoint;
  /** The first record that is not as it was written. */
  readonly problem?: Problem;
  /** Bytes at the end that are no whole record: one is being written, or its writer was killed and the next start cuts it off. */
  readonly unfinished?: number;
}

interface Problem {
  readonly seq: number;
  readonly message: string;
}

/**
 * Recomputes the chain from the first record, in bounded memory, beside the process that writes. A record is held by the one after
 * it; of the last there is only its hash, which whoever keeps it can compare. Throws StateError when there is no log, or a newer
 * program wrote it.
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

/** The last record has none after it that holds it, so it is at least looked at. */
function lastIsWhole(segment: Segment | undefined): boolean {
  if (segment === undefined) return true;
  for (const line of linesBackward(segment.path)) return parseRecord(line.toString()) !== undefined;
  return true;
}

/** A record that was walked over: what an endpoint says, before anybody needs its time. */
interface Step {
  readonly seq: number;
  readonly hash: string;
  readonly begin: string;
}

/** Bytes after the prefix of a record that hold its time. */
const TIME_BYTES = 32;

class Walk {
  #first: Step | undefined;
  #last: Step | undefined;
  /** The one before the last. */
  #held: Step | undefined;
  #problem: Problem | undefined;
  #unfinished = 0;

  /** Number of the record that must come next. */
  get next(): number {
    return (this.#last?.seq ?? 0) + 1;
  }

  /** Checks the records of a segment; false when one of them is not as it was written. */
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

  /** Says that the last record that was walked over is not what was written, if nothing worse was found. */
  doubtLast(message: string): void {
    if (this.#problem !== undefined || this.#last === undefined) return;
    this.#problem = { seq: this.#last.seq, message };
    this.#last = this.#held;
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
    const begin = line.toString('latin1', 0, prefix.length + TIME_BYTES);
    if (!begin.startsWith(prefix)) {
      this.#explain(line, seq);
      return false;
    }
    this.#held = this.#last;
    this.#last = { seq, hash: hashOf(line), begin };
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

/** Where one record ends and the next begins in the same line; inside a record its quotes would be escaped. */
const RUN_TOGETHER = Buffer.from('}{"seq":');

function endpointOf({ seq, hash, begin }: Step): Endpoint {
  return { seq, time: Number(/"time":(\d+)/.exec(begin)?.[1]), hash };
}
