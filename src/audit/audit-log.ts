// The audit log as the rest of the gateway sees it, with the stages that write the records of a call: an append resolves once the record is committed.
import { BOUNDS, type Bounds } from '../core/bounds/bounds.ts';
import { GatewayError, reasonOf } from '../core/errors.ts';
import type { Stage } from '../core/call-context.ts';
import type { StateDirectory } from '../storage/state-directory.ts';
import { StateError } from '../storage/state-error.ts';
import { importDatabase } from './import-database.ts';
import { type AuditRecord, encodeRecord, eventOf, intentOf, outcomeOf } from './record.ts';
import { recover } from './recovery.ts';
import { AuditWriter } from './writer.ts';

/** Whether records can be written, as `/readyz` shows it. */
export interface AuditHealth {
  readonly writable: boolean;
  /** Why not. */
  readonly error?: string;
}

/** Where the log is. */
export interface AuditPlace {
  /** Path of the folder with its segments, made if it is not there. */
  readonly folder: string;
  readonly bounds: Bounds;
  /** Knows whether the folder still belongs to this process; where it does not, the log writes nothing. */
  readonly owner: Pick<StateDirectory, 'isHeld'>;
}

/** By default, the bounds are those of the table, and the folder always belongs to this process. */
export interface AuditLogOptions extends Partial<AuditPlace> {
  readonly folder: string;
  /** Called when the log becomes writable or stops being so. */
  readonly onHealth?: (health: AuditHealth) => void;
}

/** Records that are committed together, and the one promise that all their appends return. */
interface Batch {
  readonly records: AuditRecord[];
  readonly encoded: string[];
  /** Characters of the encoded records. */
  length: number;
  readonly committed: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

/** The append-only log. It commits all records that one turn of the event loop appends together, at the end of the turn. */
export class AuditLog {
  readonly #writer: AuditWriter;
  readonly #onHealth: (health: AuditHealth) => void;
  readonly #bounds: Bounds;
  #gathering: Batch | undefined;
  #error: string | undefined;
  #isClosed = false;
  #retry: NodeJS.Timeout | undefined;

  private constructor(writer: AuditWriter, options: AuditLogOptions) {
    this.#writer = writer;
    this.#onHealth = options.onHealth ?? (() => undefined);
    this.#bounds = options.bounds ?? BOUNDS;
  }

  /** Opens or creates the log, and writes outcomes for the calls that a killed process left open. Throws StateError. */
  static open(options: AuditLogOptions): AuditLog {
    const { folder, bounds = BOUNDS, owner = { isHeld: () => true } } = options;
    try {
      importDatabase(folder, bounds);
      return new AuditLog(new AuditWriter(recover(folder), { folder, bounds, owner }), options);
    } catch (thrown) {
      if (thrown instanceof StateError) throw thrown;
      throw new StateError(
        `Cannot open the audit log ${folder}: ${reasonOf(thrown)}. Its disk must have space, and this user must be able to write there.`,
        { cause: thrown },
      );
    }
  }

  /** Resolves when the record is committed. Rejects with `audit_unavailable` when it cannot be. */
  append(record: AuditRecord): Promise<void> {
    if (this.#isClosed) return Promise.reject(unavailable('it is closed'));
    const encoded = encodeRecord(record);
    const batch = (this.#gathering ??= this.#begin());
    batch.records.push(record);
    batch.encoded.push(encoded);
    batch.length += encoded.length;
    if (batch.length >= this.#bounds.auditBatch) this.#commit();
    return batch.committed;
  }

  /** Whether records can be written now, judged by the last batch. */
  health(): AuditHealth {
    const error = this.#isClosed ? 'it is closed' : this.#error;
    return error === undefined ? { writable: true } : { writable: false, error };
  }

  /** Commits the records that wait and closes the file. The log refuses every later append. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#commit();
    this.#writer.close();
  }

  #begin(): Batch {
    setImmediate(this.#commit);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    return { records: [], encoded: [], length: 0, committed: promise, resolve, reject };
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
    const previous = this.#error;
    this.#error = error;
    if (this.#isClosed) return;
    if (error !== undefined) this.#retry ??= setTimeout(this.#tryAgain, this.#bounds.auditRetry).unref();
    if ((previous === undefined) !== (error === undefined)) this.#onHealth(this.health());
  }

  /** A gateway that is not ready gets no calls, so no call shows that writing works again: the log appends an event of its own to find out. */
  readonly #tryAgain = (): void => {
    this.#retry = undefined;
    const error = this.#error;
    if (error === undefined) return;
    // a batch that fails schedules the next attempt
    this.append(eventOf('audit_resumed', { error })).catch(() => undefined);
  };
}

function unavailable(reason: string): GatewayError {
  return new GatewayError('audit_unavailable', `The audit log cannot be written: ${reason}. The call was refused.`);
}

type Log = Pick<AuditLog, 'append'>;

/**
 * Appends the outcome of every call at its settlement, and before it the intent where the call never reached the commit stage. The
 * settlement fails with `audit_unavailable` where the record cannot be written.
 */
export function auditStage(log: Log): Stage {
  return (call, ctx, next) => {
    ctx.onSettled((settlement) => {
      const intent = ctx.isCommitted ? undefined : log.append(intentOf(call, ctx));
      const outcome = log.append(outcomeOf(call, settlement));
      return intent ? Promise.all([intent, outcome]).then(() => undefined) : outcome;
    });
    return next(call, ctx);
  };
}

/** Commits the intent before the call is dispatched. Throws `audit_unavailable`. */
export function commitStage(log: Log): Stage {
  return async (call, ctx, next) => {
    await log.append(intentOf(call, ctx));
    ctx.isCommitted = true;
    return await next(call, ctx); // to return the promise itself would take two turns more of the microtask queue
  };
}
