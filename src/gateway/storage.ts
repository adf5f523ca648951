// What the gateway keeps on disk, opened together and closed together.
import { join } from 'node:path';
import { AuditLog } from '../audit/audit-log.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { Keyring } from '../storage/keyring.ts';
import { STATE_MIGRATIONS } from '../storage/migrations.ts';
import { openStateDirectory, type StateDirectory } from '../storage/state-directory.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface Storage {
  readonly directory: StateDirectory;
  readonly state: Database;
  readonly audit: AuditLog;
  readonly keyring: Keyring;
}

/** Takes the state directory and opens the log and the database. Throws StateError, and then holds nothing. */
export function openStorage(path: string, logger: Logger): Storage {
  const directory = openStateDirectory(path);
  let state: Database | undefined;
  try {
    state = openDatabase(join(directory.path, 'state.db'), { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
    const keyring = new Keyring(directory.path);
    const audit = AuditLog.open({
      folder: join(directory.path, 'audit'),
      onHealth: ({ writable, error }) => {
        if (writable) logger.info('the audit log can be written again');
        else logger.error({ reason: error }, 'the audit log cannot be written; calls are refused');
      },
    });
    return { directory, state, audit, keyring };
  } catch (error) {
    state?.close();
    directory.release();
    throw error;
  }
}

/** Closes what `openStorage` opened, the ownership of the directory last. */
export function closeStorage({ directory, state, audit }: Storage): void {
  audit.close();
  state.close();
  directory.release();
}
