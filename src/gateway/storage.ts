// What the gateway keeps on disk, opened together and closed together.
import { join } from 'node:path';
import { AuditLog } from '../audit/audit-log.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { STATE_MIGRATIONS } from '../storage/migrations.ts';
import { openStateDirectory, type StateDirectory } from '../storage/state-directory.ts';
import { type Logger } from '../telemetry/logger.ts';

export interface Storage {
  readonly directory: StateDirectory;
  readonly state: Database;
  readonly audit: AuditLog;
}

/** Takes the state directory and opens both databases. Throws StateError, and then holds nothing. */
export async function openStorage(path: string, logger: Logger): Promise<Storage> {
  const directory = openStateDirectory(path);
  // the writer thread takes longest to start, so it starts first
  const opening = AuditLog.open({
    file: join(directory.path, 'audit.db'),
    onHealth: ({ writable, error }) => {
      if (writable) logger.info('the audit log can be written again');
      else logger.error({ reason: error }, 'the audit log cannot be written; calls are refused');
    },
  });
  let state: Database | undefined;
  try {
    state = openDatabase(join(directory.path, 'state.db'), { migrations: STATE_MIGRATIONS, synchronous: 'NORMAL' });
    return { directory, state, audit: await opening };
  } catch (error) {
    state?.close();
    const [opened] = await Promise.allSettled([opening]);
    if (opened.status === 'fulfilled') await opened.value.close();
    directory.release();
    throw error;
  }
}

/** Closes what `openStorage` opened, the ownership of the directory last. */
export async function closeStorage({ directory, state, audit }: Storage): Promise<void> {
  await audit.close();
  state.close();
  directory.release();
}
