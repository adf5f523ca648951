// Opens and closes everything that the gateway keeps on disk.
import { join } from 'node:path';
import { AuditLog } from '../audit/audit-log.ts';
import { type EventRecord, eventOf } from '../audit/record.ts';
import { CatalogStore } from '../catalog/store.ts';
import { Keyring } from '../storage/keyring.ts';
import { StateDatabase } from '../storage/state-database.ts';
import { openStateDirectory, type StateDirectory } from '../storage/state-directory.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface Storage {
  readonly directory: StateDirectory;
  readonly state: StateDatabase;
  readonly catalog: CatalogStore;
  readonly audit: AuditLog;
  readonly keyring: Keyring;
}

/** Takes the state directory, and opens the audit log and the database. Throws StateError; then nothing stays open. */
export function openStorage(path: string, logger: Logger): Storage {
  const directory = openStateDirectory(path);
  const repairs = new Repairs(logger);
  const { repaired } = directory;
  if (repaired !== undefined) repairs.report('lock_repaired', { what: repaired }, [repaired]);
  let state: StateDatabase | undefined;
  try {
    state = new StateDatabase(join(directory.path, 'state.db'), ({ file, keptAs, reason }) =>
      repairs.report('state_set_aside', { file, keptAs, reason }, [
        `${file} was damaged (${reason}) and is kept as ${keptAs}.`,
        'What it held is learned again from the servers; tools keep their names.',
      ]),
    );
    const catalog = new CatalogStore({
      db: state,
      directory: directory.path,
      onNamesLost: ({ file, reason }) =>
        repairs.report('names_copied_anew', { file, reason }, [
          `${file} was damaged (${reason}); it is written anew from state.db.`,
        ]),
    });
    const keyring = new Keyring(directory.path);
    const audit = AuditLog.open({
      folder: join(directory.path, 'audit'),
      isOwned: () => directory.isHeld(),
      onHealth: ({ writable, error }) => {
        if (writable) logger.info('the audit log can be written again');
        else logger.error({ reason: error }, 'the audit log cannot be written; calls are refused');
      },
    });
    repairs.recordIn(audit);
    return { directory, state, catalog, audit, keyring };
  } catch (error) {
    state?.close();
    directory.release();
    throw error;
  }
}

/** Reports damaged files that were repaired: in the program's log at once, in the audit log as soon as that is open. */
class Repairs {
  private readonly logger: Logger;
  private readonly unrecorded: EventRecord[] = [];
  private audit: AuditLog | undefined;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  report(event: string, detail: Readonly<Record<string, string>>, sentences: readonly string[]): void {
    this.logger.warn(sentences.join(' '));
    this.unrecorded.push(eventOf(event, { ...detail }));
    this.record();
  }

  recordIn(audit: AuditLog): void {
    this.audit = audit;
    this.record();
  }

  private record(): void {
    const { audit, logger } = this;
    if (!audit) return;
    for (const record of this.unrecorded.splice(0))
      audit
        .append(record)
        .catch((error: unknown) =>
          logger.error({ err: error, event: record.event }, 'an event is missing from the audit log'),
        );
  }
}

/** Closes what `openStorage` opened. Releases the state directory last. */
export function closeStorage({ directory, state, audit }: Storage): void {
  audit.close();
  state.close();
  directory.release();
}
