// The audit log as the rest of the gateway sees it: append, and know that it is committed.
import { GatewayError, reasonOf } from '../core/errors.ts';
import { StateError } from '../storage/state-error.ts';
import { encodeRecord } from './encode.ts';
import { takeOverDatabase } from './import-database.ts';
import { eventOf, type AuditRecord } from './record.ts';
import { AuditWriter } from './writer.ts';

/** Whether records can be written, as `/readyz` shows it. */
export interface AuditHealth {
  readonly writable: boolean;
  /** Why not. */
  readonly error?: string;
  /** Records that wait for their commit. */
  readonly queued: number;
}

/** Where the log is, and who is told of its health. */
export interface AuditLogOptions {
  /** Path of the folder with its segments, made if it is not there. */
  readonly folder: string;
  /** Bytes after which a segment is followed by the next; 16 MiB unless told otherwise. */
  readonly segmentBytes?: number;
  /** Whether the folder still belongs to this process; where it does not, nothing is written. Always, unless told otherwise. */
  readonly isOwned?: () => boolean;
  /** Called when the log becomes writable or stops being so. */
  readonly onHealth?: (health: AuditHealth) => void;
}

const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Characters that may wait for the end of the turn; nearly all of a record is ASCII. */
const MAX_GATHERED = 1024 * 1024;
const PROBE_EVERY_MS = 1_000;

/** Records that are committed together, and what all who appended them wait for. */
interface Batch {
  readonly records: AuditRecord[];
  readonly encoded: string[];
  /** Characters of the encoded records. */
  length: number;
  readonly committed: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

/** The append-only log. What is appended in one turn of the event loop is committed at its end, together. */
export class AuditLog {
  readonly #writer: AuditWriter;
  readonly #onHealth: (health: AuditHealth) => void;
  #gathering: Batch | undefined;
  #error: string | undefined;
  #isClosed = false;
  #probe: NodeJS.Timeout | undefined;

  private constructor(writer: AuditWriter, options: AuditLogOptions) {
    this.#writer = writer;
    this.#onHealth = options.onHealth ?? (() => undefined);
  }

  /** Opens or creates the log, and ends the calls that a killed process left open. Throws StateError. */
  static open(options: AuditLogOptions): AuditLog {
    const { folder, segmentBytes = SEGMENT_BYTES, isOwned = () => true } = options;
    try {
      takeOverDatabase(folder, segmentBytes);
      return new AuditLog(new AuditWriter({ folder, segmentBytes, isOwned }), options);
    } catch (thrown) {
      if (thrown instanceof StateError) throw thrown;
      throw new StateError(
        `Cannot open the audit log ${folder}: ${reasonOf(thrown)}. Its disk must have space, and this user must be able to write there.`,
        { cause: thrown },
      );
    }
  }

  /** Resolves when the record is committed. Throws `audit_unavailable` when it is not. */
  append(record: AuditRecord): Promise<void> {
    if (this.#isClosed) return Promise.reject(unavailable('it is closed'));
    const encoded = encodeRecord(record);
    const batch = (this.#gathering ??= this.#begin());
    batch.records.push(record);
    batch.encoded.push(encoded);
    batch.length += encoded.length;
    if (batch.length >= MAX_GATHERED) this.#commit();
    return batch.committed;
  }

  /** Whether records can be written now, as far as the last one tells. */
  health(): AuditHealth {
    const queued = this.#gathering?.records.length ?? 0;
    const error = this.#isClosed ? 'it is closed' : this.#error;
    return error === undefined ? { writable: true, queued } : { writable: false, error, queued };
  }

  /** Writes what waits and closes the file. Records appended from now on are refused. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#probe);
    this.#commit();
    this.#writer.close();
  }

  #begin(): Batch {
    setImmediate(this.#commit);
    return emptyBatch();
  }

  readonly #commit = (): void => {
    const batch = this.#gathering;
    if (batch === undefined) return;
    this.#gathering = undefined;
    try {
      this.#writer.write(batch.records, batch.encoded);
    } catch (thrown) {
      const reason = reasonOf(thrown);
      this.#setError(reason);
      batch.reject(unavailable(reason));
      return;
    }
    if (this.#error !== undefined) this.#setError(undefined);
    batch.resolve();
  };

  #setError(error: string | undefined): void {
    const before = this.#error;
    this.#error = error;
    if (this.#isClosed) return;
    if (error !== undefined) this.#probe ??= setTimeout(this.#tryAgain, PROBE_EVERY_MS).unref();
    if ((before === undefined) !== (error === undefined)) this.#onHealth(this.health());
  }

  /** A gateway that is not ready gets no calls, so it must find out by itself that it can write again; the log then says so. */
  readonly #tryAgain = (): void => {
    this.#probe = undefined;
    const error = this.#error;
    if (error === undefined) return;
    // a failure sets the next attempt, as that of any batch does
    this.append(eventOf('audit_resumed', { error })).catch(() => undefined);
  };
}

function emptyBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { records: [], encoded: [], length: 0, committed: promise, resolve, reject };
}

function unavailable(reason: string): GatewayError {
  return new GatewayError('audit_unavailable', `The audit log cannot be written: ${reason}. The call was refused.`);
}
