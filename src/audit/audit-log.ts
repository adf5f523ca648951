// The audit log as the rest of the gateway sees it: append, and know that it is committed.
import { Worker } from 'node:worker_threads';
import { GatewayError, reasonOf } from '../core/errors.ts';
import { StateError } from '../storage/state-error.ts';
import { encodeRecord } from './encode.ts';
import { eventOf, type AuditRecord } from './record.ts';
import { Pace } from './pace.ts';
import { monotonicNow, type FromWriter } from './writer-messages.ts';

/** Whether records can be written, as `/readyz` shows it. */
export interface AuditHealth {
  readonly writable: boolean;
  /** Why not. */
  readonly error?: string;
  /** Records that wait for their commit. */
  readonly queued: number;
}

/** Where the log is and how much may wait for it. */
export interface AuditLogOptions {
  readonly file: string;
  /** Records; 10,000 unless told otherwise. */
  readonly maxQueued?: number;
  /** Called when the log becomes writable or stops being so. */
  readonly onHealth?: (health: AuditHealth) => void;
  /** Milliseconds until a batch is given up; 10,000 unless told otherwise. */
  readonly deadline?: number;
}

const MAX_QUEUED = 10_000;
/** Characters that may wait: nearly all of a record is ASCII. */
const MAX_QUEUED_CHARACTERS = 64 * 1024 * 1024;
const DEADLINE_MS = 10_000;
const PROBE_EVERY_MS = 1_000;
/** The longest that a batch waits for company; the shortest that a timer can be set to. */
const HOLD_MS = 1;

/** Records that are committed together, and what all who appended them wait for. */
interface Batch {
  text: string;
  count: number;
  sentAt: number;
  readonly committed: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

/**
 * The append-only log. What is appended in one turn of the event loop, or while an earlier batch is being written, is committed
 * together by a writer thread.
 */
export class AuditLog {
  readonly #worker: Worker;
  readonly #maxQueued: number;
  readonly #deadline: number;
  readonly #onHealth: (health: AuditHealth) => void;
  #gathering: Batch | undefined;
  #writing: Batch | undefined;
  /** The batch being written was given up; its answer is still to come. */
  #isStuck = false;
  #error: string | undefined;
  #ended: string | undefined;
  #closing: Promise<void> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #probe: NodeJS.Timeout | undefined;
  #hold: NodeJS.Timeout | undefined;
  readonly #pace = new Pace();

  private constructor(worker: Worker, options: AuditLogOptions) {
    this.#worker = worker;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
    this.#deadline = options.deadline ?? DEADLINE_MS;
    this.#onHealth = options.onHealth ?? (() => undefined);
    worker.on('message', (message: string | null) => {
      this.#onAnswer(message);
    });
    worker.on('error', (error: unknown) => {
      this.#onEnd(`its writer failed: ${reasonOf(error)}`);
    });
    worker.on('exit', () => {
      this.#onEnd('its writer ended');
    });
  }

  /** Opens or creates the log, and ends the calls that a killed process left open. Throws StateError. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./writer-thread.${extension}`, import.meta.url), {
      name: 'audit-writer',
      workerData: { file: options.file, deadline: options.deadline ?? DEADLINE_MS },
    });
    await started(worker, options.file);
    return new AuditLog(worker, options);
  }

  /** Resolves when the record is committed. Throws `audit_unavailable` when it is not, or when too many wait. */
  append(record: AuditRecord): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(unavailable(refusal));
    let batch = this.#gathering;
    if (batch === undefined) {
      batch = emptyBatch();
      this.#gathering = batch;
      if (this.#writing === undefined) setImmediate(this.#turn);
    }
    batch.text += `\n${encodeRecord(record)}`;
    batch.count += 1;
    this.#pace.note(record);
    // what held it back has come: it goes at the end of this turn, with whatever else this turn brings
    if (this.#hold !== undefined && batch.count === this.#pace.target) setImmediate(this.#turn);
    return batch.committed;
  }

  /** Whether records can be written now, as far as the last one tells. */
  health(): AuditHealth {
    const queued = (this.#gathering?.count ?? 0) + (this.#writing?.count ?? 0);
    const error = this.#ended ?? this.#error;
    return error === undefined ? { writable: true, queued } : { writable: false, error, queued };
  }

  /** Writes what waits and closes the file. Records appended from now on are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  #refusal(): string | undefined {
    if (this.#ended !== undefined) return this.#ended;
    if (this.#closing !== undefined) return 'it is closed';
    if (this.#isStuck) return 'its writer does not answer';
    const waiting = this.#gathering;
    if (waiting === undefined) return undefined;
    const count = waiting.count + (this.#writing?.count ?? 0);
    const characters = waiting.text.length + (this.#writing?.text.length ?? 0);
    return count >= this.#maxQueued || characters >= MAX_QUEUED_CHARACTERS
      ? 'too many records wait to be written'
      : undefined;
  }

  /** Sends what was gathered, or holds it for a moment when more is about to come. */
  readonly #turn = (): void => {
    const waiting = this.#gathering;
    if (waiting === undefined || this.#writing !== undefined) return;
    if (waiting.count >= this.#pace.target) this.#send();
    else this.#hold ??= setTimeout(this.#send, HOLD_MS);
  };

  readonly #send = (): void => {
    clearTimeout(this.#hold);
    this.#hold = undefined;
    const batch = this.#gathering;
    if (batch === undefined || this.#writing !== undefined || this.#ended !== undefined) return;
    this.#gathering = undefined;
    this.#writing = batch;
    batch.sentAt = monotonicNow();
    this.#worker.postMessage(`${batch.sentAt}${batch.text}`);
    this.#watch ??= setTimeout(this.#onWatch, this.#deadline).unref();
  };

  #onAnswer(failure: string | null): void {
    const batch = this.#writing;
    this.#writing = undefined;
    this.#isStuck = false;
    this.#turn();
    this.#setError(failure ?? undefined);
    if (failure === null) batch?.resolve();
    else batch?.reject(unavailable(failure));
  }

  /** One timer looks after all batches: it is set again for what is left of the time of the present one. */
  readonly #onWatch = (): void => {
    this.#watch = undefined;
    const batch = this.#writing;
    if (batch === undefined) return;
    const left = batch.sentAt + this.#deadline - monotonicNow();
    if (left > 0) {
      this.#watch = setTimeout(this.#onWatch, left).unref();
      return;
    }
    this.#isStuck = true;
    const error = `its writer has not answered for ${this.#deadline} ms`;
    this.#setError(error);
    this.#rejectAll(error);
  };

  #onEnd(reason: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = this.#closing === undefined ? reason : 'it is closed';
    clearTimeout(this.#watch);
    clearTimeout(this.#probe);
    this.#setError(this.#ended);
    this.#rejectAll(this.#ended);
  }

  #rejectAll(reason: string): void {
    const gathering = this.#gathering;
    this.#gathering = undefined;
    this.#writing?.reject(unavailable(reason));
    gathering?.reject(unavailable(reason));
  }

  #setError(error: string | undefined): void {
    const before = this.#error;
    this.#error = error;
    if (error !== undefined && this.#ended === undefined)
      this.#probe ??= setTimeout(this.#tryAgain, PROBE_EVERY_MS).unref();
    if ((before === undefined) !== (error === undefined) && this.#closing === undefined) this.#onHealth(this.health());
  }

  /** A gateway that is not ready gets no calls, so it must find out by itself that it can write again; the log then says so. */
  readonly #tryAgain = (): void => {
    this.#probe = undefined;
    const error = this.#error;
    if (error === undefined || this.#closing !== undefined) return;
    this.append(eventOf('audit_resumed', { error })).catch(() => {
      this.#probe ??= setTimeout(this.#tryAgain, PROBE_EVERY_MS).unref();
    });
  };

  async #drain(): Promise<void> {
    while (this.#ended === undefined && !this.#isStuck) {
      const last = this.#gathering ?? this.#writing;
      if (last === undefined) break;
      // Whoever appended hears of a failure; here it only matters that it is over.
      await last.committed.catch(() => undefined);
    }
    if (this.#ended !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    if (this.#isStuck) await this.#worker.terminate();
    else this.#worker.postMessage(null);
    await exited;
  }
}

/** Waits until the writer has the log open. */
function started(worker: Worker, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: unknown): void => {
      reject(new StateError(`The writer of ${file} did not start: ${reasonOf(reason)}`, { cause: reason }));
    };
    worker.once('error', fail);
    worker.once('exit', fail);
    worker.once('message', (message: FromWriter) => {
      worker.removeListener('error', fail);
      worker.removeListener('exit', fail);
      if (typeof message === 'object' && message !== null) {
        reject(new StateError(message.refused, { reason: message.reason }));
      } else resolve();
    });
  });
}

function emptyBatch(): Batch {
  let resolve!: () => void;
  let reject!: (error: GatewayError) => void;
  const committed = new Promise<void>((onCommit, onFailure) => {
    resolve = onCommit;
    reject = onFailure;
  });
  return { text: '', count: 0, sentAt: 0, committed, resolve, reject };
}

function unavailable(reason: string): GatewayError {
  return new GatewayError('audit_unavailable', `The audit log cannot be written: ${reason}. The call was refused.`);
}
